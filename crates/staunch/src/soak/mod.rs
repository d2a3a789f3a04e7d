//! `staunch soak`: loads a server, lets it come to rest, and compares what it holds, again and again. What grows is a leak.

mod chart;
mod count;
mod drive;
mod judge;
mod load;
mod mix;
mod own;
mod report;
mod show;
mod soaked;
mod stop;
mod target;
mod workflows;

pub(crate) use soaked::run;
