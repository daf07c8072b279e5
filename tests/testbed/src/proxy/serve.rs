//! From accepting a connection to answering each of its requests.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header, request};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming as IncomingBody},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Incoming, Outgoing, Shared, faults::Action, log};

type Upstream = Client<HttpConnector, Full<Bytes>>;
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How long the beginning of a truncated body has to leave before the connection is cut.
const BEFORE_CUT: Duration = Duration::from_millis(50);

/// Headers that are about a connection, not about what is sent on it (RFC 9110, sections 7.6.1 and 10.1.1).
const CONNECTION_HEADERS: [HeaderName; 5] = [
    header::CONNECTION,
    header::EXPECT,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the client is to see.
enum Fate {
    Answered(Outgoing),
    Truncated(Outgoing, usize),
    Reset,
}

/// Serves until aborted, and takes its connections with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let upstream = Client::builder(TokioExecutor::new()).build_http();
    let mut connections = JoinSet::new();
    loop {
        // A failed accept is the client's to notice.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&shared), upstream.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// # Errors
/// When the client went away or a fault broke the connection; nobody has to be told.
async fn serve(stream: TcpStream, shared: Arc<Shared>, upstream: Upstream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    // A second handle, through which a reset can be asked for while hyper has the first.
    let handle = TcpStream::from_std(stream.try_clone()?)?;
    let stream = TcpStream::from_std(stream)?;
    let service = service_fn(|request| answer(request, &shared, &upstream, &handle));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn answer(
    request: Request<IncomingBody>,
    shared: &Arc<Shared>,
    upstream: &Upstream,
    handle: &TcpStream,
) -> io::Result<Response<Body>> {
    let (
        request::Parts {
            method, uri, headers, ..
        },
        body,
    ) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let incoming = Incoming {
        method,
        uri,
        headers,
        body,
        arrived: SystemTime::now(),
    };
    // On a task of its own, as this one ends when the client goes away: what was sent is to take effect all the same.
    let decided = tokio::spawn(decide(incoming, Arc::clone(shared), upstream.clone()));
    match decided.await.map_err(io::Error::other)? {
        Fate::Answered(outgoing) => Ok(response(outgoing, None)),
        Fate::Truncated(outgoing, length) => Ok(response(outgoing, Some(length))),
        Fate::Reset => {
            // Closing with unsent data thrown away makes the kernel send RST in the place of FIN.
            handle.set_zero_linger()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

/// Records the request, and meets it with its faults or with the store's answer.
async fn decide(incoming: Incoming, shared: Arc<Shared>, upstream: Upstream) -> Fate {
    let (number, actions) = shared.state().arrived(&incoming);
    let mut fault = None;
    let mut last = None;
    for action in actions {
        fault = Some(action.name());
        match action {
            Action::Delay(time) => tokio::time::sleep(time).await,
            Action::Run(callback) => {
                // A callback that panics has failed its own test.
                let _ = tokio::task::spawn_blocking(move || callback()).await;
            }
            ends => {
                last = Some(ends);
                break;
            }
        }
    }
    let fate = match last {
        Some(Action::Answer(answer)) => Fate::Answered(answer.outgoing()),
        Some(Action::Reset) => Fate::Reset,
        Some(Action::Stale) => {
            let earlier = shared.state().last_answers.of(&incoming);
            match earlier {
                Some(earlier) => Fate::Answered(earlier),
                None => Fate::Answered(forward(&incoming, &shared, &upstream).await),
            }
        }
        Some(Action::DropAnswer) => {
            forward(&incoming, &shared, &upstream).await;
            Fate::Reset
        }
        Some(Action::Truncate(length)) => {
            Fate::Truncated(forward(&incoming, &shared, &upstream).await, length)
        }
        Some(Action::Delay(_) | Action::Run(_)) | None => {
            Fate::Answered(forward(&incoming, &shared, &upstream).await)
        }
    };
    shared.state().finished(number, fault, &fate);
    fate
}

impl super::State {
    fn arrived(&mut self, incoming: &Incoming) -> (usize, Vec<Action>) {
        let number = self.arrivals;
        self.arrivals += 1;
        self.requests.push(log::Request::new(number, incoming));
        // Every rule counts the request, also those after one that ends it.
        (
            number,
            self.rules
                .iter_mut()
                .filter_map(|rule| rule.applies(incoming))
                .collect(),
        )
    }

    fn finished(&mut self, number: usize, fault: Option<&'static str>, fate: &Fate) {
        // None when the log was cleared meanwhile.
        let Some(request) = self.requests.iter_mut().find(|request| request.number == number) else {
            return;
        };
        request.fault = fault;
        match fate {
            Fate::Answered(outgoing) => request.finish(Some((outgoing, outgoing.body.len()))),
            Fate::Truncated(outgoing, length) => request.finish(Some((outgoing, *length))),
            Fate::Reset => request.finish(None),
        }
    }
}

/// The store's answer; 502 with the reason where there is none.
async fn forward(incoming: &Incoming, shared: &Shared, upstream: &Upstream) -> Outgoing {
    let outgoing = match exchange(incoming, shared, upstream).await {
        Ok(outgoing) => outgoing,
        Err(reason) => Outgoing {
            status: StatusCode::BAD_GATEWAY,
            headers: HeaderMap::new(),
            body: Bytes::from(format!("testbed: {} doesn't answer: {reason}", shared.upstream)),
        },
    };
    shared.state().last_answers.remember(incoming, &outgoing);
    outgoing
}

async fn exchange(
    incoming: &Incoming,
    shared: &Shared,
    upstream: &Upstream,
) -> Result<Outgoing, Box<dyn std::error::Error + Send + Sync>> {
    let path = incoming.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Full::new(incoming.body.clone()));
    *request.method_mut() = incoming.method.clone();
    *request.uri_mut() = Uri::try_from(format!("{}{path}", shared.upstream))?;
    *request.headers_mut() = without_connection(incoming.headers.clone());
    let (response, body) = upstream.request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Outgoing {
        status: response.status,
        headers: without_connection(response.headers),
        body,
    })
}

fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
    headers
}

fn response(outgoing: Outgoing, cut_after: Option<usize>) -> Response<Body> {
    let Outgoing {
        status,
        headers,
        body,
    } = outgoing;
    let whole = body.len();
    let mut response = match cut_after {
        None => Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync()),
        Some(length) => {
            let beginning = body.slice(..length.min(body.len()));
            let cut = stream::once(async {
                tokio::time::sleep(BEFORE_CUT).await;
                Err(io::ErrorKind::ConnectionReset.into())
            });
            let frames = stream::iter([Ok(Frame::data(beginning))]).chain(cut);
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
    };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if cut_after.is_some() {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(whole));
    }
    response
}
