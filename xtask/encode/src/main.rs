//! Makes a component of the module on standard input and writes it to standard output. `cargo xtask` builds and runs it.

use std::io::{Read, Write};

fn main() -> anyhow::Result<()> {
    let mut module = Vec::new();
    std::io::stdin().read_to_end(&mut module)?;
    let component = wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    std::io::stdout().write_all(&component)?;
    Ok(())
}
