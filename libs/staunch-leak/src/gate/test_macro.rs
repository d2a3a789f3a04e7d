//! The short forms: `test!` and `alone!`.

/// A test of zero growth, in a process of its own: [`no_growth`](crate::no_growth) over the body, which fails with what grew.
/// The test binary must have [`Counting`](crate::Counting) as its global allocator.
///
/// `fn name()` takes the default [`Options`](crate::Options); `fn name(options)` takes any. With the feature `tokio`,
/// `async fn` runs the body on a runtime of its own, in one thread, and counts its tasks too.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// staunch_leak::test! {
///     fn a_list_is_freed() {
///         drop(vec![1, 2, 3]);
///     }
///     fn many_times(staunch_leak::Options::default().rounds(1_000)) {
///         drop(String::from("and again"));
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! test {
    () => {};
    ($(#[$meta:meta])* fn $name:ident() $body:block $($rest:tt)*) => {
        $crate::test! { $(#[$meta])* fn $name($crate::Options::default()) $body $($rest)* }
    };
    ($(#[$meta:meta])* async fn $name:ident() $body:block $($rest:tt)*) => {
        $crate::test! { $(#[$meta])* async fn $name($crate::Options::default()) $body $($rest)* }
    };
    ($(#[$meta:meta])* fn $name:ident($options:expr) $body:block $($rest:tt)*) => {
        $(#[$meta])*
        #[::core::prelude::v1::test]
        fn $name() {
            $crate::gate::alone(&$crate::gate::name_of_test(::core::module_path!(), ::core::stringify!($name)), || {
                if let ::core::result::Result::Err(growth) = $crate::no_growth(&$options, || $body) {
                    ::core::panic!("{growth}");
                }
            });
        }
        $crate::test! { $($rest)* }
    };
    ($(#[$meta:meta])* async fn $name:ident($options:expr) $body:block $($rest:tt)*) => {
        $(#[$meta])*
        #[::core::prelude::v1::test]
        fn $name() {
            $crate::gate::alone(&$crate::gate::name_of_test(::core::module_path!(), ::core::stringify!($name)), || {
                let runtime = $crate::gate::current_thread();
                if let ::core::result::Result::Err(growth) =
                    $crate::gate::no_growth_async($options, runtime, async || $body)
                {
                    ::core::panic!("{growth}");
                }
            });
        }
        $crate::test! { $($rest)* }
    };
}

/// A test in a process of its own, run once: for tests that call [`no_growth`](crate::no_growth) or a sweep themselves.
///
/// ```
/// staunch_leak::alone! {
///     fn nobody_else_runs_here() {
///         assert!(staunch_leak::Census::take(None, &[]).children.is_empty());
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! alone {
    () => {};
    ($(#[$meta:meta])* fn $name:ident() $body:block $($rest:tt)*) => {
        $(#[$meta])*
        #[::core::prelude::v1::test]
        fn $name() {
            $crate::gate::alone(
                &$crate::gate::name_of_test(::core::module_path!(), ::core::stringify!($name)),
                || $body,
            );
        }
        $crate::alone! { $($rest)* }
    };
}
