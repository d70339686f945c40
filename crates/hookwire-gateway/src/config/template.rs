//! The templates in a file: rendered over its whole text, before it is parsed, as in the
//! reference. All that they know is `env`.
//!
//! What cannot be rendered leaves a hole: entries of other plugins have templates of their own
//! (`{{ event }}`), which are nothing to us. Who reads a hole has its reason.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Kwargs, Object, Rest, Value, ValueOrKwargs, from_args};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, OutputSpan, OutputSpanKind, State,
    UndefinedBehavior, context,
};

use super::origin::{Origin, pieces};
use super::structure::{Insertion, word};

/// The value of an environment variable by its name.
pub(super) type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Of the private use area: it means nothing to YAML, and is text wherever it stands.
const HOLE: char = '\u{F8FE}';

/// The text that is to be parsed, and where its lines come from.
pub(super) struct Rendered<'a> {
    pub(super) text: String,
    pub(super) origin: Origin<'a>,
    pub(super) holes: Holes,
    /// What expressions have put in that is more than a word.
    pub(super) insertions: Vec<Insertion>,
}

/// Why templates could not be rendered.
#[derive(Default)]
pub(super) struct Holes(Vec<Hole>);

/// The line of the source, and the reason.
pub(super) type Hole = (Option<usize>, String);

impl Holes {
    /// The reasons of all holes in a text.
    pub(super) fn within(&self, text: &str) -> Option<String> {
        let holes = text.split(HOLE).skip(1).step_by(2);
        let reasons = holes.filter_map(|hole| self.0.get(hole.parse::<usize>().ok()?));
        let reasons: Vec<_> = reasons.map(|(_, reason)| reason.as_str()).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    pub(super) fn into_vec(self) -> Vec<Hole> {
        self.0
    }
}

/// # Errors
/// What is wrong with a tag that is no expression: without it, the text is another.
pub(super) fn render(source: &str, lookup: Box<Lookup>) -> Result<Rendered<'_>, Hole> {
    let mut holes = Holes::default();
    if !["{{", "{%", "{#"].iter().any(|tag| source.contains(tag)) {
        let (text, origin) = (source.into(), Origin::same(source));
        return Ok(Rendered { text, origin, holes, insertions: Vec::new() });
    }
    let env = Value::from_object(Env(lookup));
    let engine = engine();
    let render = |source: &str| engine.render_str(source, context! { env => env.clone() });
    let mut with_holes = source.to_owned();
    let text = loop {
        match render(&with_holes) {
            Ok(text) => break text,
            Err(error) => {
                let hole = (error.line(), reason(&error, source));
                match with_hole(&with_holes, &error, holes.0.len()) {
                    Some(next) => with_holes = next,
                    None => return Err(hole),
                }
                holes.0.push(hole);
            }
        }
    };
    let origin = Origin::rendered(source, &with_holes, &text, |marked| render(marked).ok());
    let insertions = insertions(&with_holes, &engine, context! { env => env });
    Ok(Rendered { text, origin, holes, insertions })
}

/// What expressions have put in, by the text with words in place of it. What `tojson` has made
/// is one value, and `safe` says that it is meant to be more.
fn insertions(source: &str, engine: &Environment<'_>, context: Value) -> Vec<Insertion> {
    let mut words = engine.clone();
    // Makes what a block was captured in safe, whose expressions were seen before.
    words.set_auto_escape_callback(|_| AutoEscape::Html);
    words.set_formatter(|out: &mut Output<'_>, _, value: &Value| {
        let text = value.to_string();
        let is_text = value.as_str().is_some() && !value.is_safe();
        out.write_str(&if is_text { word(&text) } else { text }).map_err(Error::from)
    });
    let render = |engine: &Environment<'_>| {
        let template = engine.template_from_str(source).ok()?;
        let (text, spans) = template.render_with_spans(context.clone()).ok()?;
        let spans = spans.into_iter().filter(|span| span.kind() == OutputSpanKind::Expression);
        Some((text, spans.collect::<Vec<OutputSpan>>()))
    };
    let (Some((text, spans)), Some((words, of_words))) = (render(engine), render(&words)) else {
        return Vec::new();
    };
    let pairs = spans.iter().zip(&of_words).filter_map(|(span, of_word)| {
        let (put_in, word) = (&text[span.output_range()], &words[of_word.output_range()]);
        let expression = source.get(span.source_range())?;
        // A literal is the file's own.
        (put_in != word && !expression.contains(put_in)).then(|| Insertion {
            range: span.output_range(),
            word: word.to_owned(),
            line: span.line(),
            expression: expression.to_owned(),
        })
    });
    pairs.collect()
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    // Tells what it was, and where.
    engine.set_debug(true);
    // As strict as it may be where `{% if env.X %}` asks whether there is one.
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.add_filter("default", default);
    engine.add_filter("d", default);
    engine.set_unknown_method_callback(|_, value, method, arguments| {
        let text = value.as_str().ok_or(ErrorKind::UnknownMethod)?;
        method_of(text, method, arguments)
    });
    engine
}

/// As in Jinja, where arguments may be named.
fn default(value: &Value, arguments: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let (arguments, named): (&[Value], Kwargs) = from_args(&arguments)?;
    if arguments.len() > 2 {
        return Err(ErrorKind::TooManyArguments.into());
    }
    let given = |at: usize, name| match arguments.get(at) {
        Some(argument) => Ok(Some(argument.clone())),
        None => named.get(name),
    };
    let other = given(0, "default_value")?.unwrap_or_else(|| Value::from(""));
    let falsy = given(1, "boolean")?.is_some_and(|falsy| falsy.is_true());
    named.assert_all_used()?;
    let is_there = !value.is_undefined() && (!falsy || value.is_true());
    Ok(if is_there { value.clone() } else { other })
}

/// The methods of Python's texts that files use.
fn method_of(text: &str, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let argument = || from_args::<(&str,)>(arguments).map(|(argument,)| argument);
    let alone = || from_args::<()>(arguments);
    Ok(match method {
        "lower" => alone().map(|()| text.to_lowercase())?.into(),
        "upper" => alone().map(|()| text.to_uppercase())?.into(),
        "strip" => alone().map(|()| text.trim())?.into(),
        "startswith" => text.starts_with(argument()?).into(),
        "endswith" => text.ends_with(argument()?).into(),
        "split" => text.split(argument()?).map(Value::from).collect::<Vec<_>>().into(),
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

/// The source with a hole in place of the expression that the error is in, on as many lines.
fn with_hole(source: &str, error: &Error, number: usize) -> Option<String> {
    let at = error.range().filter(|_| error.kind() != ErrorKind::SyntaxError)?.start;
    let mut start = 0;
    let tag = pieces(source).into_iter().find_map(|piece| {
        let range = start..start + piece.text.len();
        start = range.end;
        (piece.text.starts_with("{{") && range.contains(&at)).then_some(range)
    })?;
    let lines = "\n".repeat(source[tag.clone()].matches('\n').count());
    let (before, after) = (&source[..tag.start], &source[tag.end..]);
    Some(format!("{before}{HOLE}{number}{HOLE}{lines}{after}"))
}

/// The environment, as templates see it.
struct Env(Box<Lookup>);

impl Object for Env {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (self.0)(key.as_str()?).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        if method != "get" {
            return Err(Error::from(ErrorKind::UnknownMethod));
        }
        let (arguments, named): (&[Value], Kwargs) = from_args(arguments)?;
        let (name, default): (&str, Option<Value>) = from_args(arguments)?;
        let default = default.or(named.get("default")?);
        named.assert_all_used()?;
        Ok((self.0)(name).map(Value::from).or(default).unwrap_or_default())
    }
}

// Never what it holds.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment")
    }
}

/// Errors of values tell what they were, so these are told by their kind.
fn reason(error: &Error, source: &str) -> String {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::SyntaxError => format!("a template cannot be read: {detail}"),
        ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest => {
            format!("a template cannot be rendered: {detail}")
        }
        ErrorKind::UndefinedError => not_set(detail.split('`').nth(1), source),
        kind => format!("a template cannot be rendered: {kind}"),
    }
}

/// `env.X`, `env['X']` or another name. One that the source does not have is the value of
/// another variable.
fn not_set(name: Option<&str>, source: &str) -> String {
    let name = name.unwrap_or_default();
    let item = name.strip_prefix("env[").and_then(|name| name.strip_suffix(']'));
    let item = item.map(|item| item.trim_matches(['"', '\'']));
    let attribute = name.strip_prefix("env.").filter(|name| !name.contains(['.', '[']));
    match (item.or(attribute), name) {
        (Some(variable), _) if source.contains(variable) => format!(
            "the environment variable `{variable}` is not set, or no text; set it, or write what holds without it: `{{{{ env.{variable} | default('…') }}}}`"
        ),
        (None, name) if !name.is_empty() && source.contains(name) => {
            format!("a template asks for `{name}`, which there is not; what it knows is `env`")
        }
        _ => "a template asks for a variable of the environment that is not set".into(),
    }
}
