//! Places where a test can make something fail.

use std::fmt;

/// A place was made to fail by a test. Without the feature `faults` there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place's name, as [`fault_point!`](crate::fault_point) has it.
    pub point: &'static str,
    /// Which hit of any point it was since the plan was armed, from 0.
    pub hit: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed on purpose (hit {})", self.point, self.hit)
    }
}

impl std::error::Error for Fault {}

/// So that a point fits in front of any I/O.
impl From<Fault> for std::io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// A place that can be made to fail: `Ok(())`, and nothing at all in machine code, unless the feature `faults` is on and the
/// armed plan says otherwise.
///
/// The name is a text, unique in the program: `area.operation`. Put it in front of what can fail in real life.
///
/// # Errors
/// [`Fault`], which turns into `std::io::Error` by `?`.
///
/// ```
/// use staunch_bounded::fault_point;
/// fn write() -> std::io::Result<()> {
///     fault_point!("log.write")?;
///     Ok(())
/// }
/// assert!(write().is_ok());
/// ```
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! fault_point {
    ($name:expr) => {
        $crate::faults::hit($name)
    };
}

/// A place that can be made to fail: `Ok(())`, and nothing at all in machine code, unless the feature `faults` is on and the
/// armed plan says otherwise.
///
/// The name is a text, unique in the program: `area.operation`. Put it in front of what can fail in real life.
///
/// # Errors
/// `Fault`, which turns into `std::io::Error` by `?`.
///
/// ```
/// use staunch_bounded::fault_point;
/// fn write() -> std::io::Result<()> {
///     fault_point!("log.write")?;
///     Ok(())
/// }
/// assert!(write().is_ok());
/// ```
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! fault_point {
    ($name:expr) => {{
        // Named, so that a name that came as an argument is not one that nobody uses.
        let _: &'static str = $name;
        ::core::result::Result::<(), $crate::Fault>::Ok(())
    }};
}

/// Arms a program by a text, as [`faults::arm_by_text`](crate::faults::arm_by_text) has it, and calls the second argument, a
/// `fn(Fault)`, at each failure. Nothing at all, and neither argument is looked at, unless the feature `faults` is on.
///
/// ```
/// staunch_bounded::arm_faults!(std::env::var("FAULTS").ok().as_deref(), |fault| panic!("{fault}"));
/// ```
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! arm_faults {
    ($text:expr, $listener:expr) => {
        if let ::core::option::Option::Some(text) = $text {
            $crate::faults::on_failure($listener);
            ::core::assert!($crate::faults::arm_by_text(text), "this is no plan of faults: {text}");
        }
    };
}

/// Nothing at all, and neither argument is looked at, unless the feature `faults` is on.
///
/// ```
/// staunch_bounded::arm_faults!(std::env::var("FAULTS").ok().as_deref(), |fault| panic!("{fault}"));
/// ```
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! arm_faults {
    ($text:expr, $listener:expr) => {};
}
