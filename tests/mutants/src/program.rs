//! A type-checked project, which can be changed for a moment.
//!
//! A mutant changes bodies, never signatures. So what was checked of the other modules stays valid, and only the changed
//! ones are parsed and checked again.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use aiken_lang::{
    IdGenerator,
    ast::{DataTypeKey, Definition, FunctionAccessKey, TraceLevel, Tracing, TypedDataType, TypedFunction, TypedTest},
    builtins,
    expr::TypedExpr,
    gen_uplc::CodeGenerator,
    line_numbers::LineNumbers,
    plutus_version::PlutusVersion,
    tipo::TypeInfo,
    utils,
};
use aiken_project::module::{ParsedModule, ParsedModules};
use indexmap::IndexMap;

use crate::{
    Error, Mutant,
    source::{Source, Sources},
};

/// How traces are compiled for the chain: not at all.
pub(crate) const SILENT: Tracing = Tracing::All(TraceLevel::Silent);

/// A test of the project.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) definition: TypedTest,
}

/// Why a mutant is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotViable(pub String);

/// The project, parsed and type-checked.
pub struct Program {
    sources: Sources,
    tracing: Tracing,
    ids: IdGenerator,
    module_sources: HashMap<String, (String, LineNumbers)>,
    module_types: HashMap<String, TypeInfo>,
    functions: IndexMap<FunctionAccessKey, TypedFunction>,
    constants: IndexMap<FunctionAccessKey, TypedExpr>,
    data_types: IndexMap<DataTypeKey, TypedDataType>,
    tests: Vec<Test>,
    /// The modules, each before those that use it.
    order: Vec<String>,
}

/// What is known of one module, put aside while a mutant of it is tried.
struct Aside {
    name: String,
    source: Option<(String, LineNumbers)>,
    types: Option<TypeInfo>,
    functions: Vec<(FunctionAccessKey, TypedFunction)>,
    constants: Vec<(FunctionAccessKey, TypedExpr)>,
    tests: Vec<(usize, TypedTest)>,
}

impl Program {
    /// Parses and checks a project.
    pub(crate) fn compile(sources: &Sources, tracing: Tracing) -> Result<Self, Error> {
        let ids = IdGenerator::new();
        let module_types = HashMap::from([
            (builtins::PRELUDE.to_string(), builtins::prelude(&ids)),
            (builtins::BUILTIN.to_string(), builtins::plutus(&ids)),
        ]);
        let mut program = Self {
            functions: builtins::prelude_functions(&ids, &module_types),
            data_types: builtins::prelude_data_types(&ids),
            sources: sources.clone(),
            tracing,
            ids,
            module_sources: HashMap::new(),
            module_types,
            constants: IndexMap::new(),
            tests: Vec::new(),
            order: Vec::new(),
        };
        let failed = |source: &Source, error| Error::Compile { path: source.path.display().to_string(), error };
        let mut modules = HashMap::new();
        for source in &sources.modules {
            let module = program.parse(source).map_err(|NotViable(error)| failed(source, error))?;
            modules.insert(source.name.clone(), module);
        }
        let modules = ParsedModules::from(modules);
        let ours: BTreeSet<String> = modules.keys().cloned().collect();
        program.order = modules.sequence(&ours).map_err(|error| Error::Project(format!("{error:?}")))?;
        for name in program.order.clone() {
            if let Some(source) = sources.module(&name) {
                program.check(source).map_err(|NotViable(error)| failed(source, error))?;
            }
        }
        // The order of modules that do not use each other is another one each time.
        program.tests.sort_by(|one, other| (&one.module, &one.name).cmp(&(&other.module, &other.name)));
        Ok(program)
    }

    pub(crate) fn tests(&self) -> &[Test] {
        &self.tests
    }

    pub(crate) fn plutus(&self) -> &PlutusVersion {
        &self.sources.config.plutus
    }

    /// What compiles tests.
    pub(crate) fn generator(&self) -> CodeGenerator<'_> {
        CodeGenerator::new(
            self.sources.config.plutus,
            utils::indexmap::as_ref_values(&self.functions),
            utils::indexmap::as_ref_values(&self.constants),
            utils::indexmap::as_ref_values(&self.data_types),
            utils::indexmap::as_str_ref_values(&self.module_types),
            utils::indexmap::as_str_ref_values(&self.module_sources),
            self.tracing,
        )
    }

    /// Does something with the project as a mutant has it; then all is as it was.
    pub(crate) fn with<T>(&mut self, mutant: &Mutant, then: impl FnOnce(&Self) -> T) -> Result<T, NotViable> {
        let mut changed = mutant.changed(&self.sources);
        changed.sort_by_key(|source| self.order.iter().position(|name| *name == source.name));
        let aside: Vec<Aside> = changed.iter().map(|source| self.put_aside(&source.name)).collect();
        // The compiler panics over some programs that it should refuse.
        let result = catch_unwind(AssertUnwindSafe(|| {
            changed.iter().try_for_each(|source| self.check(source))?;
            Ok(then(self))
        }));
        for aside in aside {
            self.put_back(aside);
        }
        result.unwrap_or_else(|_| Err(NotViable("the compiler panics".to_owned())))
    }

    fn parse(&self, source: &Source) -> Result<ParsedModule, NotViable> {
        let (mut ast, extra) = aiken_lang::parser::module(&source.code, source.kind)
            .map_err(|errors| NotViable(format!("it does not parse: {:?}", errors.first())))?;
        ast.name.clone_from(&source.name);
        Ok(ParsedModule {
            path: source.path.clone(),
            name: source.name.clone(),
            code: source.code.clone(),
            kind: source.kind,
            package: self.sources.config.name.to_string(),
            ast,
            extra,
        })
    }

    /// Parses and checks a module, which replaces what there was of it.
    fn check(&mut self, source: &Source) -> Result<(), NotViable> {
        let package = self.sources.config.name.to_string();
        let (module, _warnings) = self
            .parse(source)?
            .infer(
                &self.ids,
                &package,
                self.tracing,
                None,
                true,
                &mut self.module_sources,
                &mut self.module_types,
                &mut self.functions,
                &mut self.constants,
                &mut self.data_types,
            )
            .map_err(|error| NotViable(format!("it does not type-check: {error}")))?;
        for definition in module.ast.definitions() {
            let Definition::Test(test) = definition else { continue };
            match self.tests.iter_mut().find(|known| known.module == source.name && known.name == test.name) {
                Some(known) => known.definition = test.clone(),
                None => self.tests.push(Test {
                    module: source.name.clone(),
                    name: test.name.clone(),
                    path: source.path.clone(),
                    definition: test.clone(),
                }),
            }
        }
        Ok(())
    }

    fn put_aside(&self, name: &str) -> Aside {
        let of_module = |key: &FunctionAccessKey| key.module_name == name;
        Aside {
            name: name.to_owned(),
            source: self.module_sources.get(name).cloned(),
            types: self.module_types.get(name).cloned(),
            functions: self.functions.iter().filter(|(key, _)| of_module(key)).map(owned).collect(),
            constants: self.constants.iter().filter(|(key, _)| of_module(key)).map(owned).collect(),
            tests: self
                .tests
                .iter()
                .enumerate()
                .filter(|(_, test)| test.module == name)
                .map(|(at, test)| (at, test.definition.clone()))
                .collect(),
        }
    }

    fn put_back(&mut self, aside: Aside) {
        let kept: HashSet<&FunctionAccessKey> = aside.functions.iter().map(|(key, _)| key).collect();
        self.functions.retain(|key, _| key.module_name != aside.name || kept.contains(key));
        self.module_sources.extend(aside.source.map(|source| (aside.name.clone(), source)));
        self.module_types.extend(aside.types.map(|types| (aside.name.clone(), types)));
        self.functions.extend(aside.functions);
        self.constants.extend(aside.constants);
        for (at, test) in aside.tests {
            if let Some(known) = self.tests.get_mut(at) {
                known.definition = test;
            }
        }
    }
}

fn owned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
