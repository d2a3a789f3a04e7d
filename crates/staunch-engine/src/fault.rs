//! Where a test can make fail what the engine asks of others: in front of the call, or behind it.

use std::future::Future;

use staunch_bounded::Fault;
use staunch_store::StoreError;

/// What the store answers, unless a test made the point in front of it fail: then it is not asked.
pub(crate) async fn before<T>(
    point: Result<(), Fault>,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    failed(point)?;
    asked.await
}

/// What the store answered, unless a test makes the answer get lost: then it was asked, and nobody knows what came of it.
pub(crate) fn after<T>(
    answer: Result<T, StoreError>,
    point: impl FnOnce() -> Result<(), Fault>,
) -> Result<T, StoreError> {
    let answer = answer?;
    point().map_err(|fault| StoreError::Unknown(fault.to_string()))?;
    Ok(answer)
}

/// A point, as the store would say it.
pub(crate) fn failed(point: Result<(), Fault>) -> Result<(), StoreError> {
    point.map_err(|fault| StoreError::Failed(fault.to_string()))
}
