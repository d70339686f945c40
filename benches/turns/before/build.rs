//! Compiles the schema of the earlier build.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../../target/before/proto";
    println!("cargo:rerun-if-changed={proto}");
    let schema = protox::compile([format!("{proto}/plugin_service.proto")], [proto])?;
    prost_build::Config::new().compile_fds(schema)?;
    Ok(())
}
