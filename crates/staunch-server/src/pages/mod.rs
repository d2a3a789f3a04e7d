//! The pages for people: made by the server, whole without scripts, nothing in them from elsewhere.

mod account;
mod asset;
mod field;
mod home;
mod layout;
mod login;
mod logout;
mod memory;
mod mishap;
mod moment;
mod next;
mod route;
mod setup;
mod sheet;
mod veil;
mod who;

pub(crate) use mishap::{is_page, page as mishap};
pub(crate) use route::routes;
