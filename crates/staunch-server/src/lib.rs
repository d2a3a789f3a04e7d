//! Face to come.
