//! draft
/// draft
#[derive(Debug, Clone, thiserror::Error)]
#[error("draft")]
pub struct ConfigError;
