//! Compiles the plugin protocol's schema with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/plugin_service.proto");
    let schema = protox::compile(["proto/plugin_service.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(schema)?;
    Ok(())
}
