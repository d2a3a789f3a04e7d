//! The workflows that can be run: parsed once, by name and by revision.

use std::sync::Arc;

use staunch_flow::{Diagnostic, Workflow};
use staunch_store::RevisionId;

/// Parsed workflows by name, and a bounded number by revision.
#[derive(Debug, Default)]
pub struct Catalog {}

/// A workflow that is known by name.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The file it comes from, relative to the workflows directory.
    pub file: Option<String>,
    /// Its current revision.
    pub revision: RevisionId,
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// Warnings about the file.
    pub warnings: Vec<Diagnostic>,
}

impl Catalog {
    /// The workflow of this name.
    pub fn get(&self, _name: &str) -> Option<Arc<Known>> {
        None
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Arc<Known>> {
        Vec::new()
    }

    /// Files that have errors: the file's name and what is wrong. Their workflows keep their last good revision.
    pub fn broken(&self) -> Vec<(String, Vec<Diagnostic>)> {
        Vec::new()
    }
}
