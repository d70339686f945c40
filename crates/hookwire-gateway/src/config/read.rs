//! From a text to a configuration, or to everything that is wrong with it.

use std::path::Path;

use super::entries::Reading;
use super::origin::Origin;
use super::problem::{ConfigProblem, GatewayConfigError, escaped};
use super::template::{self, Holes, Lookup};
use super::tree::Fault;
use super::{GatewayConfig, structure, yaml};

pub(super) fn read(
    file: Option<&Path>,
    text: &str,
    environment: Box<Lookup>,
) -> Result<GatewayConfig, GatewayConfigError> {
    let rendered =
        template::render(text, environment).map_err(|(line, reason)| broken(file, line, reason))?;
    let (origin, holes) = (&rendered.origin, rendered.holes);
    let document = match yaml::parse(&rendered.text, &holes) {
        Ok(document) => document,
        Err(fault) => return Err(no_yaml(file, origin, &fault, holes)),
    };
    let intruders = structure::intruders(&rendered.text, &rendered.insertions);
    if !intruders.is_empty() {
        let told = intruders.into_iter().map(|put_in| {
            let expression = escaped(&put_in.expression);
            let reason = format!(
                "what `{{{{ {expression} }}}}` puts in is not a part of one value, and would change what the file says; write `{{{{ {expression} | tojson }}}}` without quotes around it, or `| safe` if it is meant to be YAML"
            );
            whole(file, Some(put_in.line), reason)
        });
        return Err(GatewayConfigError::new(told.collect()));
    }
    let mut reading = Reading::new(file, origin);
    reading.read(document.as_deref());
    if !reading.problems.is_empty() {
        reading.problems.sort_by_key(|problem| problem.line);
        return Err(GatewayConfigError::new(reading.problems));
    }
    let (plugins, lines) = std::mem::take(&mut reading.plugins).into_iter().unzip();
    let Reading { left_out, warnings, sections, .. } = reading;
    Ok(GatewayConfig { plugins, lines, left_out, warnings, sections })
}

/// What is left of a template that could not be rendered may well be no YAML.
fn no_yaml(
    file: Option<&Path>,
    origin: &Origin<'_>,
    fault: &Fault,
    holes: Holes,
) -> GatewayConfigError {
    let holes = holes.into_vec();
    if !holes.is_empty() {
        let told = holes.into_iter().map(|(line, reason)| whole(file, line, reason));
        return GatewayConfigError::new(told.collect());
    }
    let reason = match fault.reason.split_once('`') {
        // The parser quotes the character that it did not expect.
        Some(_) if !origin.is_same() => "an unexpected character, once its templates are rendered",
        _ => &fault.reason,
    };
    let hint = match origin.is_untemplated(fault.line, fault.line) {
        true => "",
        false => {
            "; if it is what a template puts in: `{{ … | tojson }}`, without quotes, is one value"
        }
    };
    let reason = format!("no valid YAML: {reason}{hint}");
    broken(file, origin.line(fault.line), reason)
}

/// A problem that is the only one.
pub(super) fn broken(
    file: Option<&Path>,
    line: Option<usize>,
    reason: String,
) -> GatewayConfigError {
    GatewayConfigError::new(vec![whole(file, line, reason)])
}

/// A problem of the file as a whole.
fn whole(file: Option<&Path>, line: Option<usize>, reason: String) -> ConfigProblem {
    let (entry, plugin, key, value) = (None, None, None, None);
    ConfigProblem { file: file.map(Path::to_owned), line, entry, plugin, key, value, reason }
}
