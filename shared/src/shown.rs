//! What is shown of a stored item: its fields once, for the struct, for their names, and for how it follows from the item.

/// A struct of what is shown of an item. What is not shown is named beside, so that no new field of the item is forgotten;
/// what comes from elsewhere follows behind `and`.
macro_rules! shown {
    (
        $(#[$about:meta])*
        $name:ident of $item:ident without $($hidden:ident),+ {
            $($(#[$doc:meta])* $field:ident: $type:ty,)*
        }
        $(and { $($(#[$more_doc:meta])* $more:ident: $more_type:ty,)* })?
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            $($($(#[$more_doc])* pub $more: $more_type,)*)?
        }

        impl $name {
            /// The names of the fields, in their order.
            pub const FIELDS: &'static [&'static str] =
                &[$(stringify!($field),)* $($(stringify!($more),)*)?];
        }

        impl From<$item> for $name {
            fn from(item: $item) -> Self {
                let $item { $($field,)* $($hidden: _,)+ } = item;
                Self { $($field,)* $($($more: Default::default(),)*)? }
            }
        }
    };
}

pub(crate) use shown;
