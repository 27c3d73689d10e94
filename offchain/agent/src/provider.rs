//! The provider: quotes, signs agreements, computes once the money is locked, proves, settles.

mod bond;
mod conduct;
mod terms;
mod work;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nunet_compute::{Model, Tensor};
use nunet_contracts::{AgreementHash, BondFunds, Ntx};
use nunet_ledger::OutPoint;
use nunet_market::SignedAgreement;
use nunet_oracle::messages::MAX_BLOB_BYTES;
use nunet_p2p::{Caller, Node, NodeConfig, Router, blob::BlobStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::conduct::Conduct;
use crate::{
    blobs::HeldBlobs,
    messages::{AskQuote, Locked, ProposeAgreement, RequestLock},
    party::{AgentError, OpenJobs, PartyConfig},
};

/// The most agreements that wait for their money, or run, at a time.
const MAX_JOBS: usize = 64;

/// What a provider offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What a job costs.
    pub price: Ntx,
    /// What the provider locks with each job, and loses when its result is wrong or does not come.
    pub bond: Ntx,
    /// How long it needs after the lock to reveal, in milliseconds.
    pub run_ms: u64,
    /// How it behaves; anything but honest is for showing what happens then.
    pub conduct: Conduct,
}

/// What a provider reports as it happens.
#[derive(Clone, Debug)]
pub enum ProviderEvent {
    /// An agreement was signed.
    Agreed(AgreementHash),
    /// The requester's lock was checked and signed: the bond is paid with it.
    LockSigned(OutPoint),
    /// The money is where it should be; work starts.
    Started(OutPoint),
    /// The job ran.
    Computed {
        /// The job's escrow.
        escrow: OutPoint,
        /// How long the run took.
        took: Duration,
        /// Linear ops in the trace.
        ops: usize,
    },
    /// Enough members have the commitment.
    Committed(OutPoint),
    /// Too few members can be reached to be sure of a verdict; the result is kept back until more are.
    TooFewMembers {
        /// The job's escrow.
        escrow: OutPoint,
        /// Members that took the commitment.
        members: usize,
        /// Members that must.
        threshold: usize,
    },
    /// The result is with this many members, enough for a verdict; the requester is shown it now.
    Revealed {
        /// The job's escrow.
        escrow: OutPoint,
        /// Members who took it.
        members: usize,
    },
    /// A job ended without payment.
    Failed {
        /// The agreement.
        agreement: AgreementHash,
        /// Why.
        reason: String,
    },
}

/// A running provider.
pub struct Provider {
    node: Node,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Shared {
    party: PartyConfig,
    offer: Offer,
    jobs: OpenJobs,
    blobs: BlobStore,
    waiting: Mutex<HashMap<AgreementHash, Waiting>>,
    places: Arc<Semaphore>,
    events: mpsc::UnboundedSender<ProviderEvent>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An agreement whose money is not seen yet.
struct Waiting {
    agreement: SignedAgreement,
    work: Work,
    /// What the bond is paid with, when there is one.
    bond: Option<BondFunds>,
}

/// A job that is ready to run.
struct Work {
    model: Model,
    inputs: Vec<Tensor>,
    /// Program and inputs, handed out to members until the escrow is spent.
    _held: HeldBlobs,
    /// One of the provider's places.
    _place: OwnedSemaphorePermit,
}

impl Provider {
    /// Starts the node and serves demands; events go to `events` for whoever shows them.
    pub async fn start(
        party: PartyConfig,
        node: NodeConfig,
        offer: Offer,
        events: mpsc::UnboundedSender<ProviderEvent>,
    ) -> Result<Self, AgentError> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            party,
            offer,
            jobs: OpenJobs::default(),
            blobs: BlobStore::new(MAX_JOBS * MAX_BLOB_BYTES / 16),
            waiting: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_JOBS)),
            events,
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let node = router(&shared).start(shared.party.node_config(node)).await?;
        shared.party.meet_members(&node).await;
        Ok(Self { node, stop, tasks })
    }

    /// The provider's network handle.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Stops all work.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.node.shutdown().await;
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    let [quote, agree, request_lock, locked] = [(); 4].map(|()| Arc::clone(shared));
    let router = Router::new()
        .on(move |_: Caller, message: AskQuote| {
            let shared = Arc::clone(&quote);
            async move { shared.quote(&message.demand).await }
        })
        .on(move |caller: Caller, message: ProposeAgreement| {
            let shared = Arc::clone(&agree);
            async move { shared.agree(&caller, message).await }
        })
        .on(move |caller: Caller, message: RequestLock| {
            let shared = Arc::clone(&request_lock);
            async move { shared.sign_lock(&caller, message).await }
        })
        .on(move |caller: Caller, message: Locked| {
            let answer = locked.take_locked(&caller, &message);
            async move { answer }
        });
    shared.jobs.serve(shared.blobs.serve(router))
}

impl Shared {
    fn report(&self, event: ProviderEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}
