//! Compiles the plugin protocol with its gRPC service, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/plugin_service.proto");
    let schema = protox::compile(["../../proto/plugin_service.proto"], ["../../proto"])?;
    tonic_prost_build::configure().compile_fds(schema)?;
    Ok(())
}
