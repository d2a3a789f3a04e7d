//! The allocator of the unit tests, for the gates of growth among them; the others do not mind.

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
