use reqwest::StatusCode;
use tokio::sync::OnceCell;

use crate::{error::Result, home::Home, port, programs, server::Server};

/// Where an object store is and how to get in.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    /// `http://127.0.0.1:PORT`; buckets are addressed by path.
    pub endpoint: String,
    /// An access key that may do everything.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl ObjectStore {
    pub(crate) fn new(port: u16, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            region: "us-east-1".to_owned(),
        }
    }
}

/// LocalStack: S3 with its control of accounts, STS and IAM, nearest to AWS in its answers. It checks neither signatures nor policies.
#[derive(Debug)]
pub struct LocalStack {
    store: ObjectStore,
    server: Server,
    _home: Home,
}

impl LocalStack {
    /// An empty one. Takes about 3 s and 180 MB.
    pub async fn start() -> Result<Self> {
        let python = programs::localstack_python()?;
        let (home, port) = (Home::new()?, port::free()?);
        let server = Server::start(&home, "localstack", python, |command| {
            command
                .args(["-m", "localstack.runtime.main"])
                .env("SERVICES", "s3,s3control,sts,iam")
                .env("STRICT_SERVICE_LOADING", "1")
                .env("EAGER_SERVICE_LOADING", "1")
                .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
                // Nothing is to leave the machine, nor to be fetched.
                .env("DISABLE_EVENTS", "1")
                .env("SKIP_SSL_CERT_DOWNLOAD", "1")
                .env("DNS_ADDRESS", "0")
                .env("LOCALSTACK_VOLUME_DIR", home.path().join("volume"))
                .env("FILESYSTEM_ROOT", home.path().join("files"))
                .env("HOME", home.path());
        })?;
        let store = ObjectStore::new(port, "test", "test");
        answers(
            &server,
            &format!("{}/_localstack/health", store.endpoint),
            |status| status.is_success(),
        )
        .await?;
        Ok(Self {
            store,
            server,
            _home: home,
        })
    }

    /// The one that all tests of this process share: each uses buckets of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<LocalStack> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Where it is and how to get in.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// SeaweedFS: a real store that checks signatures and enforces bucket policies.
#[derive(Debug)]
pub struct SeaweedFs {
    store: ObjectStore,
    server: Server,
    _home: Home,
}

impl SeaweedFs {
    /// An empty one. Takes about 6 s and 120 to 400 MB.
    pub async fn start() -> Result<Self> {
        let program = programs::weed()?;
        let home = Home::new()?;
        let store = ObjectStore::new(port::free()?, "holdfast-access", "holdfast-secret");
        let identities = serde_json::json!({ "identities": [{
            "name": "holdfast",
            "credentials": [{ "accessKey": store.access_key, "secretKey": store.secret_key }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let identities = home.write("identities.json", identities.to_string())?;
        let data = home.path().join("data");
        std::fs::create_dir(&data).map_err(crate::Error::io("make a folder"))?;
        let mut ports = Vec::new();
        // Without ports of their own for gRPC, they take the others plus 10,000.
        for name in [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        ] {
            ports.push(format!("-{name}={}", port::free()?));
        }
        let s3_port = store.endpoint.rsplit(':').next().unwrap_or_default();
        let server = Server::start(&home, "seaweedfs", program, |command| {
            command
                .args([
                    "server",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-volume.max=100",
                    "-filer",
                    "-s3",
                ])
                .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
                .args(ports)
                .arg(format!("-s3.port={s3_port}"))
                .arg(format!("-s3.config={}", identities.display()))
                .arg(format!("-dir={}", data.display()));
        })?;
        answers(&server, &format!("{}/status", store.endpoint), |status| {
            status.is_success()
        })
        .await?;
        Ok(Self {
            store,
            server,
            _home: home,
        })
    }

    /// The one that all tests of this process share: each uses buckets of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<SeaweedFs> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Where it is and how to get in.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// moto: S3, IAM and, best of the three, STS with its errors.
#[derive(Debug)]
pub struct Moto {
    store: ObjectStore,
    server: Server,
    _home: Home,
}

impl Moto {
    /// The one that all tests of this process share: each uses buckets of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Moto> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// An empty one. Takes about a second and 60 MB.
    pub async fn start() -> Result<Self> {
        let python = programs::moto_python()?;
        let (home, port) = (Home::new()?, port::free()?);
        let server = Server::start(&home, "moto", python, |command| {
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        })?;
        let store = ObjectStore::new(port, "test", "test");
        answers(&server, &format!("{}/moto-api/", store.endpoint), |status| {
            status.is_success()
        })
        .await?;
        Ok(Self {
            store,
            server,
            _home: home,
        })
    }

    /// Where it is and how to get in.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

pub(crate) async fn answers(server: &Server, url: &str, accepts: fn(StatusCode) -> bool) -> Result<()> {
    crate::install_tls_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| crate::Error::Answer {
            request: url.to_owned(),
            answer: error.to_string(),
        })?;
    server.ready(|| client.get(url), accepts).await
}
