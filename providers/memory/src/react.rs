//! How the world's own controllers act: the reactions, applied to the world itself.

use std::collections::VecDeque;

use holdfast_contract::ResourceKey;

use crate::manifest::facets_of;
use crate::reactions::{Effect, merge};
use crate::resource::Identity;
use crate::world::State;

/// After so many reactions to one write something goes in a circle.
const REACTIONS_MAX: usize = 1000;

impl State {
    /// Lets controllers react to what became of `identity`, and to what that brings about, until all is quiet.
    pub(crate) fn react(&mut self, identity: Identity) {
        let mut waiting = VecDeque::from([identity]);
        for _ in 0..REACTIONS_MAX {
            let Some(identity) = waiting.pop_front() else {
                return;
            };
            let Some((kind, manifest)) = self.manifest(&identity) else {
                continue;
            };
            let mut manifest = manifest;
            for effect in self.reactions.clone().for_object(&manifest) {
                match effect {
                    Effect::Patch { patch } => {
                        let before = facets_of(kind.as_ref(), &manifest);
                        merge(&mut manifest, &patch);
                        let mut after = facets_of(kind.as_ref(), &manifest);
                        after.retain(|facet, value| before.get(facet) != Some(value));
                        if self.update_quietly(kind.as_ref(), &identity, after) {
                            waiting.push_back(identity.clone());
                        }
                    }
                    Effect::Create { manifest } => match self.resource_of(&manifest) {
                        Ok((kind, resource)) => {
                            let made = Identity::of(&resource.key);
                            if !self.resources.contains_key(&made) && self.may_exist(&resource.key) {
                                waiting.push_back(self.insert_quietly(kind.as_ref(), resource));
                            }
                        }
                        Err(error) => tracing::warn!(%error, "a reaction creates what is no object"),
                    },
                }
            }
        }
        tracing::warn!("the reactions of the sandbox go in a circle; stopped after {REACTIONS_MAX}");
    }

    fn may_exist(&self, key: &ResourceKey) -> bool {
        key.namespace
            .as_ref()
            .is_none_or(|namespace| self.resources.contains_key(&Identity::namespace(namespace)))
    }
}
