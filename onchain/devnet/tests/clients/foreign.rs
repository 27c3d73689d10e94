//! Runs clients written in other languages: installs their pinned packages into the build folder, and bounds their time.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::spawn_blocking;

/// How long the packages may take to install.
const INSTALL_LIMIT: Duration = Duration::from_secs(240);

/// How long a client may run.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// How often a child process is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Set by `tests/run` once the tools are there: from then on a client that is not run is a failure.
const REQUIRED: &str = "NUNET_CLIENTS_REQUIRED";

/// Whose packages a client stands on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ecosystem {
    /// pycardano and blockfrost-python.
    Python,
    /// Lucid Evolution.
    Lucid,
    /// The schemas that Blockfrost publishes, with a validator for them.
    OpenApi,
}

/// A client whose packages are installed.
#[derive(Debug)]
pub(crate) struct Client {
    interpreter: PathBuf,
    folder: PathBuf,
    script: &'static str,
}

impl Client {
    /// Installs a client's packages unless they are there; `None`, with the reason printed, where the tools for that are
    /// missing.
    pub(crate) async fn installed(ecosystem: Ecosystem, script: &'static str) -> Option<Self> {
        let missing = spawn_blocking(move || ecosystem.missing()).await.unwrap();
        if let Some(reason) = missing {
            assert!(std::env::var_os(REQUIRED).is_none(), "{ecosystem:?}: {reason}");
            eprintln!("{ecosystem:?} clients were not run: {reason}");
            return None;
        }
        let installed = spawn_blocking(move || ecosystem.install()).await.unwrap();
        let (interpreter, folder) = installed.unwrap_or_else(|reason| panic!("{ecosystem:?}: {reason}"));
        Some(Self { interpreter, folder, script })
    }

    /// Runs the client with a task on its standard input and gives what it reports.
    pub(crate) async fn run(self, task: Value) -> Value {
        let output = spawn_blocking(move || {
            let mut command = Command::new(&self.interpreter);
            command.arg(self.script).current_dir(&self.folder);
            run(command, &self.folder.join(self.script), &task.to_string(), RUN_LIMIT)
        });
        let output = output.await.unwrap().unwrap_or_else(|reason| panic!("{reason}"));
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }
}

impl Ecosystem {
    /// What this machine lacks.
    fn missing(self) -> Option<String> {
        let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let check = |program, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(here).output();
            let works = output.is_ok_and(|output| output.status.success());
            (!works).then(|| format!("`{program} {}` does not work here", arguments.join(" ")))
        };
        match self {
            Self::Python => check("python3", &["-c", "import ensurepip, venv"]),
            Self::Lucid | Self::OpenApi => check("node", &["--version"]).or_else(|| check("npm", &["--version"])),
        }
    }

    /// The interpreter and the folder to run in.
    fn install(self) -> Result<(PathBuf, PathBuf), String> {
        // Tests of one process share the folders.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, lock) = match self {
            Self::Python => ("python", "requirements.txt"),
            Self::Lucid => ("lucid", "package-lock.json"),
            Self::OpenApi => ("openapi", "package-lock.json"),
        };
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
        fs::create_dir_all(&folder).unwrap();
        for source in fs::read_dir(&sources).unwrap().map(Result::unwrap).filter(|one| one.path().is_file()) {
            fs::copy(source.path(), folder.join(source.file_name())).unwrap();
        }
        let lock = fs::read_to_string(folder.join(lock)).unwrap();
        let stamp = folder.join("installed");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
            return Ok((self.interpreter(&folder), folder));
        }
        match self {
            Self::Python => {
                step("python3", &["-m", "venv", "--clear", "environment"], &folder)?;
                let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
                step("environment/bin/python", &pip, &folder)?;
            }
            Self::Lucid | Self::OpenApi => {
                step("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], &folder)?;
            }
        }
        fs::write(stamp, lock).unwrap();
        Ok((self.interpreter(&folder), folder))
    }

    fn interpreter(self, folder: &Path) -> PathBuf {
        match self {
            Self::Python => folder.join("environment/bin/python"),
            Self::Lucid | Self::OpenApi => "node".into(),
        }
    }
}

fn step(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let mut command = if program.contains('/') { Command::new(folder.join(program)) } else { Command::new(program) };
    command.args(arguments).current_dir(folder);
    run(command, &folder.join("install"), "", INSTALL_LIMIT).map(|_| ())
}

/// Runs a command with a text on its standard input, and gives what it wrote; what it says on the way goes into files
/// beside `log`, because a pipe that nobody empties would stop it.
fn run(mut command: Command, log: &Path, input: &str, limit: Duration) -> Result<String, String> {
    let (out, err) = (log.with_extension("out"), log.with_extension("err"));
    command.stdin(Stdio::piped());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
    // A child that ends without reading shows in its exit status.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(format!("{command:?} took more than {limit:?}: {}", fs::read_to_string(&err).unwrap()));
        }
        thread::sleep(POLL);
    };
    let output = fs::read_to_string(&out).unwrap();
    if status.success() {
        Ok(output)
    } else {
        Err(format!("{command:?}: {status}\n{output}\n{}", fs::read_to_string(&err).unwrap()))
    }
}
