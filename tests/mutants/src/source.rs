//! The source of an Aiken project.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aiken_lang::ast::ModuleKind;
use aiken_project::config::ProjectConfig;

use crate::Error;

/// One module.
#[derive(Clone, Debug)]
pub struct Source {
    /// The module's name, as others import it.
    pub name: String,
    /// The file, from the project's folder.
    pub path: PathBuf,
    /// Whether it is a library or holds validators.
    pub kind: ModuleKind,
    /// What is in the file.
    pub code: String,
}

impl Source {
    /// Whether the module is for tests, and is not mutated itself: it is in a folder `tests`.
    pub fn is_for_tests(&self) -> bool {
        self.name.split('/').any(|part| part == "tests")
    }
}

/// All modules of a project, in the order of their files.
#[derive(Clone)]
pub struct Sources {
    /// What `aiken.toml` says.
    pub config: ProjectConfig,
    /// The modules.
    pub modules: Vec<Source>,
}

impl Sources {
    /// Reads the project in a folder.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let config = ProjectConfig::load(root).map_err(|error| Error::Project(format!("{error:?}")))?;
        let mut modules = Vec::new();
        for (folder, kind) in [("lib", ModuleKind::Lib), ("validators", ModuleKind::Validator)] {
            let folder = root.join(folder);
            if folder.exists() {
                read_folder(root, &folder, &folder, kind, &mut modules)?;
            }
        }
        modules.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { config, modules })
    }

    /// The module of a name.
    pub fn module(&self, name: &str) -> Option<&Source> {
        self.modules.iter().find(|module| module.name == name)
    }
}

fn read_folder(
    root: &Path,
    base: &Path,
    folder: &Path,
    kind: ModuleKind,
    modules: &mut Vec<Source>,
) -> Result<(), Error> {
    let failed = |path: &Path, error| Error::Read { path: path.display().to_string(), error };
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.is_dir() {
            read_folder(root, base, &path, kind, modules)?;
        } else if path.extension().is_some_and(|extension| extension == "ak") {
            let code = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let name = path.strip_prefix(base).unwrap_or(&path).with_extension("");
            modules.push(Source {
                name: name.to_string_lossy().replace('\\', "/").replace('-', "_"),
                path: path.strip_prefix(root).unwrap_or(&path).to_path_buf(),
                kind,
                code,
            });
        }
    }
    Ok(())
}
