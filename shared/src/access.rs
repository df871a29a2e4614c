//! Who may look, and who may act.
//!
//! API Gateway lets nobody in whom it has not authenticated; here it is read who that is, and what a token's
//! roles allow. IAM separates the roles before a request comes here: by the method that a principal may invoke.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Read,
    /// Tell again, retry, redrive; and look.
    Act,
}

impl Role {
    /// How tokens name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "bitpowr:read",
            Self::Act => "bitpowr:act",
        }
    }
}

/// How it is known who somebody is.
#[derive(Clone, Debug)]
pub enum Access {
    /// It is whoever runs this program.
    Own(String),
    /// A principal of AWS, by the signature of its request.
    Iam,
    /// The bearer of a token of an OpenID Connect issuer, which API Gateway verified.
    Token {
        /// The claim that lists the roles.
        roles: String,
    },
}

/// Somebody may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is not known who it is: nothing stands before this function that would say.
    #[error("The request does not say who sends it.")]
    Unknown,
    /// The role is missing.
    #[error("The role {0} is missing in the token.")]
    Role(&'static str),
}

impl Access {
    /// Who sends a request, if they have the role.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn caller(&self, request: &Request, role: Role) -> Result<String, Denied> {
        let authorizer = || match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.authorizer.as_ref().ok_or(Denied::Unknown),
            _ => Err(Denied::Unknown),
        };
        match self {
            Self::Own(who) => Ok(who.clone()),
            Self::Iam => {
                let iam = authorizer()?.iam.as_ref();
                iam.and_then(|iam| iam.user_arn.clone()).ok_or(Denied::Unknown)
            }
            Self::Token { roles } => {
                let claims = &authorizer()?.jwt.as_ref().ok_or(Denied::Unknown)?.claims;
                let held = claims.get(roles).map(String::as_str).unwrap_or_default();
                let allows = |held: &str| held == role.as_str() || held == Role::Act.as_str();
                if !members(held).any(allows) {
                    return Err(Denied::Role(role.as_str()));
                }
                let subject = claims.get("sub").ok_or(Denied::Unknown)?;
                // A name is for people, and may change; the subject does not.
                let name =
                    ["email", "preferred_username", "username"].iter().find_map(|name| claims.get(*name));
                Ok(name.map_or_else(|| subject.clone(), |name| format!("{name} ({subject})")))
            }
        }
    }
}

/// The members of a claim: API Gateway passes a list as `[a b]`, a scope is `a b`.
fn members(claim: &str) -> impl Iterator<Item = &str> {
    claim.trim_start_matches('[').trim_end_matches(']').split([' ', ',']).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
    use serde_json::{Value, json};

    fn request(authorizer: &Value) -> Request {
        let context: ApiGatewayV2httpRequestContext =
            serde_json::from_value(json!({ "authorizer": authorizer, "http": { "method": "GET" } })).unwrap();
        Request::default().with_request_context(RequestContext::ApiGatewayV2(context))
    }

    fn bearer(claims: &Value, role: Role) -> Result<String, Denied> {
        let access = Access::Token { roles: "groups".to_owned() };
        access.caller(&request(&json!({ "jwt": { "claims": claims, "scopes": null } })), role)
    }

    #[test]
    fn a_token_allows_what_its_roles_say() {
        for (groups, reads, acts) in [
            ("bitpowr:read", true, false),
            ("bitpowr:act", true, true),
            ("[staff bitpowr:read]", true, false),
            ("[bitpowr:act staff]", true, true),
            ("staff,bitpowr:act", true, true),
            ("bitpowr:reader", false, false),
            ("", false, false),
        ] {
            let claims = json!({ "sub": "s", "groups": groups });
            assert_eq!(bearer(&claims, Role::Read).is_ok(), reads, "{groups}");
            assert_eq!(bearer(&claims, Role::Act).is_ok(), acts, "{groups}");
        }
        let other = json!({ "sub": "s", "scope": "bitpowr:act" });
        assert_eq!(bearer(&other, Role::Act), Err(Denied::Role("bitpowr:act")));
    }

    #[test]
    fn who_acts_is_known_by_name() {
        let claims = json!({ "sub": "s", "email": "a@example.com", "groups": "bitpowr:act" });
        assert_eq!(bearer(&claims, Role::Act).as_deref(), Ok("a@example.com (s)"));
        let iam = json!({ "iam": { "userArn": "arn:aws:iam::1:user/a" } });
        assert_eq!(Access::Iam.caller(&request(&iam), Role::Act).as_deref(), Ok("arn:aws:iam::1:user/a"));
    }

    #[test]
    fn without_an_authorizer_nobody_is_let_in() {
        let token = Access::Token { roles: "groups".to_owned() };
        for access in [Access::Iam, token] {
            assert_eq!(access.caller(&Request::default(), Role::Read), Err(Denied::Unknown));
            assert_eq!(access.caller(&request(&json!({})), Role::Read), Err(Denied::Unknown));
        }
        let iam = json!({ "iam": { "userArn": "arn:aws:iam::1:user/a" } });
        let token = Access::Token { roles: "groups".to_owned() };
        assert_eq!(token.caller(&request(&iam), Role::Read), Err(Denied::Unknown));
    }
}
