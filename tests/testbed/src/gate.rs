//! A way to a server that can be shut.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::error::{Error, Result};

/// Passes connections on to a server, byte by byte, until it is shut: then all that are open break, and new ones are
/// closed at once. What is sent may be encrypted.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    accepted: usize,
    connections: JoinSet<()>,
}

impl Gate {
    /// One before `server`, `HOST:PORT`, open.
    pub async fn start(server: &str) -> Result<Self> {
        let failed = || Error::io("listen on loopback");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let state = Arc::default();
        Ok(Self {
            address,
            accepting: tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&state))),
            state,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, and lets no new one through.
    pub fn shut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_shut = true;
        state.connections.abort_all();
    }

    /// Breaks all connections; new ones are let through.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.connections.abort_all();
    }

    /// Lets new connections through.
    pub fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_shut = false;
    }

    /// How many connections were asked for, those that were not let through among them.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).accepted
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, state: Arc<Mutex<State>>) {
    loop {
        // A failed accept is the client's to notice.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accepted += 1;
        while state.connections.try_join_next().is_some() {}
        if !state.is_shut {
            let server = server.clone();
            state.connections.spawn(async move {
                // How it ends, the two at its ends see.
                let _: io::Result<()> = pass(client, &server).await;
            });
        }
    }
}

async fn pass(mut client: TcpStream, server: &str) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
