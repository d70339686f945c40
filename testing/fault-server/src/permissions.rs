//! Makes file permissions count for this thread even where it runs as root, so that a
//! socket without permission keeps it out as it would keep out any other user.
//!
//! Capabilities belong to a thread and are inherited by those that it starts later.

/// From here on the permissions of files bind this thread, and every thread that it
/// starts afterwards. Changes nothing for a user whom they bind already.
#[cfg(target_os = "linux")]
pub fn bind_to_permissions() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    let mut sets = capabilities(None).expect("a thread may read its own capabilities");
    // The effective set alone decides; giving up a part of it needs no privilege.
    sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    set_capabilities(None, sets).expect("a thread may give up its own capabilities");
}

/// Elsewhere there is nothing like it: permissions bind whom they bind.
#[cfg(not(target_os = "linux"))]
pub fn bind_to_permissions() {}
