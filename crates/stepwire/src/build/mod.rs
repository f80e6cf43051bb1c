//! From the folders that a template names to archives that functions and layers are made of.
//!
//! What a folder needs is told by what is in it, as `sam build` does: packages of `package.json` and
//! `requirements.txt` are installed, a `BuildMethod` in the resource's metadata is followed, and any
//! other folder is taken as it is. A folder that has not changed is not built again.
//!
//! Read in this order: [`artifact`], [`recipe`], [`builder`], [`archive`].

pub mod archive;
pub mod artifact;
pub mod builder;
pub mod recipe;
pub mod tree;
