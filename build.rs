//! With the feature `compile-schema`: compiles the plugin protocol's schema, with protox, so that no
//! `protoc` has to be installed. Without it there is nothing to do: `src/wire/proto.rs` has what
//! comes out, so that no user builds a compiler first.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/plugin_service.proto");
    #[cfg(feature = "compile-schema")]
    prost_build::Config::new()
        .compile_fds(protox::compile(["proto/plugin_service.proto"], ["proto"])?)?;
    Ok(())
}
