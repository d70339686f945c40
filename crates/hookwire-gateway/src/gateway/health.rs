//! How the plugins are: for readiness, liveness, and health pages.

use std::time::Duration;

use hookwire::config::{OnError, PluginMode};
use hookwire::{BreakerState, ConnectionState, LastFailure, PluginHandle};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::Gateway;

/// How one plugin is. It holds nothing of a request, no path and no words of the plugin: names
/// and constant texts only.
///
/// It serialises to an object with the same names; times are seconds, and `last_failure` has
/// `seconds_ago`, `reason` and `message`.
///
/// ```
/// # fn page(gateway: &hookwire_gateway::Gateway) -> Result<String, serde_json::Error> {
/// for plugin in gateway.health().iter().filter(|plugin| !plugin.is_ready()) {
///     println!("{} is {}", plugin.name, plugin.state);
/// }
/// serde_json::to_string(&gateway.health())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginHealth {
    /// The plugin's name.
    pub name: String,
    /// How it runs.
    pub mode: PluginMode,
    /// What its errors do to a request.
    pub on_error: OnError,
    /// The state of the best of its connections.
    pub state: ConnectionState,
    /// Whether its calls are let through.
    pub breaker: BreakerState,
    /// Whether the server that is called now has told its own entry.
    pub checked: bool,
    /// Whether it is left out since an error (`on_error: disable`): requests pass without it. No
    /// plugin is both left out and [needed](Self::is_needed).
    pub left_out: bool,
    /// Why each call is refused without being made, as a
    /// [reason](hookwire::PluginError::reason), such as `disabled` or `name_mismatch`.
    pub refused: Option<&'static str>,
    /// How long ago it was last reached, since it was started as it is configured now.
    pub last_success: Option<Duration>,
    /// How the last call of it that failed did so.
    pub last_failure: Option<LastFailure>,
}

impl PluginHealth {
    fn of(handle: &PluginHandle, left_out: bool) -> Self {
        let config = handle.config();
        Self {
            name: handle.name().to_owned(),
            mode: config.mode(),
            on_error: config.on_error(),
            state: handle.state(),
            breaker: handle.breaker(),
            checked: handle.is_checked(),
            left_out,
            refused: handle.refusal().map(|error| error.reason()),
            last_success: handle.last_success(),
            last_failure: handle.last_failure(),
        }
    }

    /// Whether requests stop where this plugin cannot be asked: it is waited for, and has
    /// `on_error: fail`.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        let waited_for = !matches!(self.mode, PluginMode::Disabled | PluginMode::FireAndForget);
        waited_for && self.on_error == OnError::Fail
    }

    /// Whether it can be asked: it was reached since it was started, is not refused, and is not
    /// down so that connecting to it is tried over and over.
    ///
    /// One that is connected to and does not answer counts as reachable although its breaker is
    /// open: only calls can find out that it is well again, so none must be kept from it.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        let connecting =
            matches!(self.state, ConnectionState::Connecting | ConnectionState::TransientFailure);
        self.last_success.is_some()
            && self.refused.is_none()
            && self.state != ConnectionState::Shutdown
            && (self.breaker == BreakerState::Closed || !connecting)
    }

    /// Whether it is reachable, or not needed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_needed() || self.is_reachable()
    }
}

impl Gateway {
    /// How each plugin is, in their order. Nothing is asked: it tells what calls, checks and
    /// connections have shown.
    #[must_use]
    pub fn health(&self) -> Vec<PluginHealth> {
        let chain = self.chain();
        let disabled = chain.disabled();
        let left_out = |handle: &PluginHandle| disabled.contains(&handle.name());
        chain.handles().map(|handle| PluginHealth::of(handle, left_out(handle))).collect()
    }

    /// For a readiness check: whether requests can be served now. True if each plugin that is
    /// [needed](PluginHealth::is_needed) is [reachable](PluginHealth::is_reachable), and the
    /// gateway is not shut down.
    ///
    /// A plugin whose errors are ignored, or which one has left out, takes nothing out of service,
    /// although requests pass it unchecked then: that is what its entry asks for.
    /// [`health`](Self::health) shows it, and so does the metric `hookwire_plugin_left_out`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_live() && self.health().iter().all(PluginHealth::is_ready)
    }

    /// For a liveness check: whether there is no need to start the gateway anew. True until it
    /// is shut down: a plugin that is down is found again by itself, and a new start would not
    /// bring it back.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.inner.lifetime.is_closed()
    }
}

impl Serialize for PluginHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("PluginHealth", 11)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("mode", self.mode.as_str())?;
        object.serialize_field("on_error", self.on_error.as_str())?;
        object.serialize_field("state", self.state.as_str())?;
        object.serialize_field("breaker", self.breaker.as_str())?;
        object.serialize_field("checked", &self.checked)?;
        object.serialize_field("left_out", &self.left_out)?;
        object.serialize_field("refused", &self.refused)?;
        object.serialize_field("last_success", &self.last_success.map(|ago| ago.as_secs_f64()))?;
        object.serialize_field("last_failure", &self.last_failure.map(Failure::from))?;
        object.serialize_field("ready", &self.is_ready())?;
        object.end()
    }
}

#[derive(Serialize)]
struct Failure {
    seconds_ago: f64,
    reason: &'static str,
    message: &'static str,
}

impl From<LastFailure> for Failure {
    fn from(failure: LastFailure) -> Self {
        let LastFailure { ago, reason, message, .. } = failure;
        Self { seconds_ago: ago.as_secs_f64(), reason, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> PluginHealth {
        PluginHealth {
            name: "Guard".to_owned(),
            mode: PluginMode::Sequential,
            on_error: OnError::Fail,
            state: ConnectionState::Idle,
            breaker: BreakerState::Closed,
            checked: false,
            left_out: false,
            refused: None,
            last_success: Some(Duration::ZERO),
            last_failure: None,
        }
    }

    #[test]
    fn a_plugin_without_a_socket_is_ready_once_it_was_reached() {
        assert!(well().is_ready());
        assert!(!PluginHealth { last_success: None, ..well() }.is_ready());
    }

    #[test]
    fn a_plugin_that_cannot_be_connected_to_is_not_ready() {
        for state in [ConnectionState::TransientFailure, ConnectionState::Connecting] {
            let down = PluginHealth { state, breaker: BreakerState::Open, ..well() };
            assert!(!down.is_ready(), "{state}");
            assert!(PluginHealth { state, ..well() }.is_ready(), "its calls wait for it");
        }
        assert!(!PluginHealth { state: ConnectionState::Shutdown, ..well() }.is_ready());
        assert!(!PluginHealth { refused: Some("name_mismatch"), ..well() }.is_ready());
    }

    /// Out of service it would get no call, and without a call it would stay there for ever.
    #[test]
    fn a_plugin_that_only_calls_can_find_well_again_is_ready() {
        for state in [ConnectionState::Ready, ConnectionState::Idle] {
            for breaker in [BreakerState::Open, BreakerState::HalfOpen] {
                assert!(PluginHealth { state, breaker, ..well() }.is_ready());
            }
        }
    }

    #[test]
    fn a_plugin_that_no_request_stops_for_is_ready_even_if_it_is_down() {
        let down = PluginHealth { last_success: None, ..well() };
        for mode in [PluginMode::Disabled, PluginMode::FireAndForget] {
            assert!(PluginHealth { mode, ..down.clone() }.is_ready());
        }
        for on_error in [OnError::Ignore, OnError::Disable] {
            assert!(PluginHealth { on_error, ..down.clone() }.is_ready());
        }
        assert!(!PluginHealth { mode: PluginMode::Audit, ..down }.is_ready());
    }
}
