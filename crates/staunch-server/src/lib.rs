//! The HTTP face of Staunch: the API under `/api/v1`, live events, health and metrics.

pub mod wire;
