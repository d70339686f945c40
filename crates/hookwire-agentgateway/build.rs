//! Compiles the guardrail protocol with its gRPC service, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/ext_mcp.proto");
    let schema = protox::compile(["proto/ext_mcp.proto"], ["proto"])?;
    // The client is for tests, which bring a connection of their own.
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(schema)?;
    Ok(())
}
