//! Where a plugin is, and how it is called there.

use std::path::PathBuf;

use hookwire::PluginHandle;

use crate::grpc::way::Way;
use crate::site::Site;

#[derive(Clone)]
pub(crate) enum Place {
    Socket(PathBuf),
    Grpc(Way),
}

impl Place {
    pub(crate) fn handle(&self, site: &Site) -> PluginHandle {
        match self {
            Self::Socket(path) => site.handle(path),
            Self::Grpc(way) => way.handle(site),
        }
    }
}
