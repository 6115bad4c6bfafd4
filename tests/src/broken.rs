//! Components that implement a world but break its promises.

use anyhow::Result;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

use crate::Environment;

/// Makes a component of a world in `wit/`. The body of each of its functions is `body`, WebAssembly text.
pub fn broken_component(environment: &Environment, world: &str, body: &str) -> Result<Vec<u8>> {
    let (resolve, world) = resolve(environment, world)?;
    let abi = ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let text = wasmprinter::print_bytes(dummy_module(&resolve, world, abi))?;
    encode(&resolve, world, &text.replace("unreachable", body))
}

/// Makes a translator that asks for the logs of one contract with one topic, and traps when it gets them.
pub fn deaf_translator(
    environment: &Environment,
    chain_id: u64,
    address: &[u8; 20],
    topic: &[u8; 32],
) -> Result<Vec<u8>> {
    // The answer of `filters` as it lies in memory: each list is its address and its length.
    const AT: u32 = 1024;
    let list = |offset: u32, length: u32| [(AT + offset).to_le_bytes(), length.to_le_bytes()].concat();
    let (nothing, no_end) = ([0; 8], [0; 16]);
    let selection: [&[u8]; 12] = [
        &[0; 8],
        &chain_id.to_le_bytes(),
        &list(24, 1),
        &list(80, 1),
        &list(88, 1),
        &nothing,
        &nothing,
        &0_u64.to_le_bytes(),
        &no_end,
        &[list(96, 20), list(116, 32)].concat(),
        address,
        topic,
    ];
    let bytes: String = selection.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
            (memory (export "memory") 64)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free
                (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 15)) (i32.const -16))))
            (func (export "clearfold:handlers/translation@0.1.0#filters") (param i32 i32) (result i32) i32.const {AT})
            (func (export "clearfold:handlers/translation@0.1.0#translate") (param i32 i32 i32 i32) (result i32) unreachable)
            (data (i32.const {AT}) "{bytes}"))"#
    );
    let (resolve, world) = resolve(environment, "translator")?;
    encode(&resolve, world, &text)
}

pub(crate) fn resolve(environment: &Environment, world: &str) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(environment.root.join("wit"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    Ok((resolve, world))
}

pub(crate) fn encode(resolve: &Resolve, world: WorldId, text: &str) -> Result<Vec<u8>> {
    let mut module = wat::parse_str(text)?;
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}
