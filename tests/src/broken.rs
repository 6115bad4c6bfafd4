//! Components that implement a world and keep none of its promises.

use anyhow::Result;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::Environment;

/// A component of a world in `wit/`, each of whose functions does what `body` says in WebAssembly text.
pub fn broken_component(environment: &Environment, world: &str, body: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(environment.root.join("wit"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let abi = ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let text = wasmprinter::print_bytes(dummy_module(&resolve, world, abi))?;
    let mut module = wat::parse_str(text.replace("unreachable", body))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}
