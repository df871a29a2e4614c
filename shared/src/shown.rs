//! What is shown of a stored item: its fields once, for the struct, for their names, and for how it follows from the item.

/// A struct of what is shown of an item. What is not shown is named beside, so that no new field of the item is forgotten.
macro_rules! shown {
    (
        $(#[$about:meta])*
        $name:ident of $item:ident without $($hidden:ident),+ {
            $($(#[$doc:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            /// The names of the fields, in their order.
            pub const FIELDS: [&'static str; [$(stringify!($field)),*].len()] = [$(stringify!($field)),*];
        }

        impl From<$item> for $name {
            fn from(item: $item) -> Self {
                let $item { $($field,)* $($hidden: _,)+ } = item;
                Self { $($field),* }
            }
        }
    };
}

pub(crate) use shown;
