//! Questions to a plugin's server: they are no calls of hooks, and may be asked again.

use tokio::time::Instant;

use super::{Caller, let_others_run};
use crate::config::RetryPolicy;
use crate::error::{Cause, Errand, PluginError, Sent};
use crate::model::Object;
use crate::options::CallOptions;
use crate::unix::message::{Method, Origin, Reply};
use crate::wire::DecodeError;
use crate::wire::reply::{Reported, config_reply, configs_reply};
use crate::wire::reply_fault::ReplyFault;
use crate::wire::request::{self, EncodedFrame};

impl Caller {
    /// The plugin's configuration on the server, and the connection that brought it; `None` if
    /// the server knows no such plugin.
    pub(crate) async fn plugin_config(
        &self,
        name: &str,
        options: CallOptions,
    ) -> Result<(Option<Reported>, Origin), PluginError> {
        let frame = request::get_plugin_config(name);
        let frame = frame.map_err(Cause::InvalidRequest);
        let read = |reply: &Reply| Ok((config_reply(&reply.message)?, reply.origin));
        self.ask(frame, options, Errand::Question, read).await
    }

    /// The configurations of all plugins on the server.
    pub(crate) async fn plugin_configs(
        &self,
        options: CallOptions,
    ) -> Result<Vec<Object>, PluginError> {
        let frame = request::get_plugin_configs();
        let frame = frame.map_err(Cause::InvalidRequest);
        self.ask(frame, options, Errand::Server, |reply| configs_reply(&reply.message)).await
    }

    async fn ask<T>(
        &self,
        frame: Result<EncodedFrame, Cause>,
        options: CallOptions,
        errand: Errand,
        read: impl Fn(&Reply) -> Result<T, DecodeError>,
    ) -> Result<T, PluginError> {
        let read = |reply: &Reply| read(reply).map_err(ReplyFault::from);
        // Asking twice does no harm, so a question may always be sent again.
        let options = options.retry(RetryPolicy::Resend);
        let answer = match frame {
            Ok(frame) => {
                self.exchange(Method::GetConfig, Instant::now(), frame, options, read).await
            }
            Err(cause) => Err((Sent::No, cause)),
        };
        self.noted(errand, answer).await
    }

    /// Waits until there is a connection.
    pub(crate) async fn connect(&self, options: CallOptions) -> Result<(), PluginError> {
        let outcome =
            self.call(Method::Connect, Instant::now(), EncodedFrame::new(), options).await;
        self.noted(Errand::Question, outcome.map(|_| ())).await
    }

    async fn noted<T>(
        &self,
        errand: Errand,
        outcome: Result<T, (Sent, Cause)>,
    ) -> Result<T, PluginError> {
        let outcome = outcome.map_err(|failure| self.error(errand, failure));
        match &outcome {
            Ok(_) => self.last_seen.note_success(Instant::now()),
            Err(error) => {
                self.last_seen.note_failure(error);
                let_others_run().await;
            }
        }
        outcome
    }
}
