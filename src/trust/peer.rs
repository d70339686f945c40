//! Who holds the other end of a connected socket, as the kernel says.

use std::io;

use tokio::net::UnixStream;

use super::{Refusal, one_of};

/// The users and groups that may be on the other side. An empty list is not asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    uids: Box<[u32]>,
    gids: Box<[u32]>,
}

impl Peers {
    pub(crate) fn new(uids: &[u32], gids: &[u32]) -> Self {
        Self { uids: uids.into(), gids: gids.into() }
    }

    pub(super) fn uids(&self) -> &[u32] {
        &self.uids
    }

    /// Asks the kernel: of a client, who connected; of a server, who began to listen.
    pub(crate) fn check(&self, stream: &UnixStream) -> io::Result<()> {
        if self.uids.is_empty() && self.gids.is_empty() {
            return Ok(());
        }
        let peer = stream.peer_cred()?;
        Ok(self.judge(peer.uid(), peer.gid())?)
    }

    fn judge(&self, uid: u32, gid: u32) -> Result<(), Refusal> {
        if !self.uids.is_empty() && !self.uids.contains(&uid) {
            return Err(Refusal::User { found: uid, expected: one_of(&self.uids) });
        }
        if !self.gids.is_empty() && !self.gids.contains(&gid) {
            return Err(Refusal::Group { found: gid, expected: one_of(&self.gids) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Promise: P1
    #[test]
    fn each_list_that_is_not_empty_must_have_the_peer() {
        for (uids, gids, trusted) in [
            (&[][..], &[][..], true),
            (&[7], &[], true),
            (&[1, 7], &[3, 9], true),
            (&[], &[9], true),
            (&[8], &[], false),
            (&[7], &[8], false),
            (&[8], &[9], false),
        ] {
            let outcome = Peers::new(uids, gids).judge(7, 9);
            assert_eq!(outcome.is_ok(), trusted, "{uids:?} {gids:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_was_expected() {
        let refused = |uids, gids| Peers::new(uids, gids).judge(7, 9).unwrap_err().to_string();
        assert_eq!(refused(&[8], &[]), "the other side is user 7, expected 8 (`peer_uids`)");
        assert_eq!(
            refused(&[], &[1, 2]),
            "the other side is of group 9, expected one of 1, 2 (`peer_gids`)"
        );
    }

    #[tokio::test]
    async fn the_kernel_is_asked_who_the_peer_is() {
        let (near, _far) = UnixStream::pair().unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert!(Peers::new(&[own], &[]).check(&near).is_ok());
        let error = Peers::new(&[own + 1], &[]).check(&near).unwrap_err();
        assert!(super::super::is_refusal(&error), "{error}");
    }
}
