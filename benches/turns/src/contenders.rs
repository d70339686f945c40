//! One typed call by each of the two builds. Their types have the same names and are not
//! the same, so the code is written once, as a macro.

macro_rules! contender {
    ($module:ident: $hookwire:ident) => {
        pub mod $module {
            use std::hint::black_box;
            use std::path::Path;
            use std::sync::Arc;

            use $hookwire::hooks::{PromptPreFetch, PromptPreFetchPayload};
            use $hookwire::{PluginConfig, PluginContext, PluginHandle, UnixSocketConfig};

            use crate::common::sample;
            use crate::load::Call;
            use crate::point::Point;

            #[derive(Clone)]
            pub struct Typed {
                handle: PluginHandle,
                payload: Arc<PromptPreFetchPayload>,
                context: PluginContext,
            }

            impl Typed {
                /// The first call connects.
                pub fn new(socket: &Path, point: &Point) -> Self {
                    let mut unix =
                        UnixSocketConfig::builder(socket).max_connections(point.connections);
                    if let Some(max_in_flight) = point.max_in_flight {
                        unix = unix.max_in_flight(max_in_flight);
                    }
                    let config = PluginConfig::builder(sample::PLUGIN)
                        .unix_socket(unix)
                        .hook(sample::HOOK)
                        .build();
                    let payload = PromptPreFetchPayload::new("p-1");
                    let payload = match point.payload {
                        None => {
                            payload.with_arg("topic", "rust programming").with_arg("lang", "en")
                        }
                        Some(size) => {
                            payload.with_arg("text", "lorem ipsum ".repeat(size / 12 + 1))
                        }
                    };
                    Self {
                        handle: PluginHandle::connect_lazy(config.expect("a valid configuration")),
                        payload: Arc::new(payload),
                        context: PluginContext::new("0123456789abcdef"),
                    }
                }
            }

            impl Call for Typed {
                async fn call(&mut self) {
                    let call =
                        self.handle.invoke_hook::<PromptPreFetch>(&self.payload, &mut self.context);
                    drop(black_box(call.await.expect("the plugin answers")));
                }
            }
        }
    };
}

contender!(before: hookwire_before);
contender!(after: hookwire);
