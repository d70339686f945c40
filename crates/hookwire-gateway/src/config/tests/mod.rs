//! One file per step: templates, YAML, entries; and what no message may hold.

mod entries;
#[cfg(feature = "grpc")]
mod grpc;
mod secrets;
mod templates;
mod yaml;

use super::{ConfigProblem, GatewayConfig};

/// An environment of these variables.
fn env<const N: usize>(
    variables: [(&str, &str); N],
) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    move |asked| variables.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone())
}

fn config(text: &str) -> GatewayConfig {
    GatewayConfig::from_str_with(text, |_| None).unwrap()
}

/// What is wrong with a text, as a person reads it.
fn problems(text: &str) -> Vec<String> {
    problems_with(text, [])
}

fn problems_with<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Vec<String> {
    let error = GatewayConfig::from_str_with(text, env(variables)).unwrap_err();
    error.problems().iter().map(ConfigProblem::to_string).collect()
}
