//! The holdfast command: parse, run, exit code.

mod arguments;
mod commands;
mod interrupt;
mod listen;
mod policies;
mod printer;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::printer::Printer;

/// Set up by `.cargo/config.toml`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(arguments.colour());
    arguments.start_log();
    // The only TLS there is here; without it the first connection would panic.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        printer.error("TLS was set up twice, which is a fault of holdfast");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&format!("the system gives no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(commands::run(arguments, printer)).into()
}

/// Help and version are answers; wrong usage is an error like any other, and its exit code is 1.
fn usage(error: &clap::Error) -> ExitCode {
    // What can't be printed here can't be said anywhere else either.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
