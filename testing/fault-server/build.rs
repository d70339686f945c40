//! Compiles the plugin protocol's schema, apart from the crate under test.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = "../../proto";
    let schema = format!("{folder}/plugin_service.proto");
    println!("cargo:rerun-if-changed={schema}");
    prost_build::Config::new().compile_fds(protox::compile([schema], [folder])?)?;
    Ok(())
}
