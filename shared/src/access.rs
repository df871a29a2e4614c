//! Who may look, and who may act.
//!
//! API Gateway lets nobody in whom it has not authenticated; here it is read who that is, and what a token's
//! roles allow. IAM separates the roles before a request comes here: by the method and the path that a principal
//! may invoke.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::header;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::{Map, Value};

crate::names! {
    /// What somebody wants to do, by the name that tokens have for it.
    "role" Role {
        /// Look.
        Read "bitpowr:read";
        /// Resend, retry, redrive; and look.
        Act "bitpowr:act";
        /// Manage endpoints; and look.
        Configure "bitpowr:configure";
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
    #[error("The request does not identify its sender.")]
    Unknown,
    /// The role is missing.
    #[error("The token does not have the role {0}.")]
    Role(Role),
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
                let token = Token::of(request).filter(|token| token.subject() == claims.get("sub"));
                // Whoever may do something may look.
                let allows = |held: &str| match role {
                    Role::Read => Role::ALL.iter().any(|role| held == role.as_str()),
                    role => held == role.as_str(),
                };
                if !token.is_some_and(|token| token.members(roles).any(allows)) {
                    return Err(Denied::Role(role));
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

/// The claims of the token that API Gateway verified, as the issuer wrote them. API Gateway hands claims over as texts
/// in which the list `["a", "b c"]` and the list `["a", "b", "c"]` are one: a role cannot be distinguished from a part of a name.
struct Token(Map<String, Value>);

impl Token {
    /// Reads the payload (RFC 7519, section 3). The request has exactly one token, so that it is the verified one.
    fn of(request: &Request) -> Option<Self> {
        let mut sent = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(sent), None) = (sent.next(), sent.next()) else { return None };
        let sent = sent.to_str().ok()?;
        // API Gateway takes a token with and without the scheme.
        let scheme = sent.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let token = scheme.map_or(Some(sent), |scheme| sent.get(scheme.len()..))?;
        let [_, payload, _] = token.trim().split('.').collect::<Vec<_>>()[..] else { return None };
        Some(Self(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?))
    }

    fn text(&self, claim: &str) -> Option<&String> {
        match self.0.get(claim)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn subject(&self) -> Option<&String> {
        self.text("sub")
    }

    /// What a claim lists: the texts of a list; the words of a scope, which is a list in one text (RFC 6749,
    /// section 3.3; Microsoft Entra ID calls it `scp`); any other text as a whole.
    fn members<'a>(&'a self, claim: &str) -> impl Iterator<Item = &'a str> {
        let (list, text) = match self.0.get(claim) {
            Some(Value::Array(list)) => (list.as_slice(), None),
            Some(Value::String(text)) => (&[][..], Some(text.as_str())),
            _ => (&[][..], None),
        };
        let words = text.map(|text| match claim {
            "scope" | "scp" => text.split(' ').collect(),
            _ => vec![text],
        });
        list.iter().filter_map(Value::as_str).chain(words.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
    use serde_json::json;

    fn request(authorizer: &Value) -> Request {
        let context: ApiGatewayV2httpRequestContext =
            serde_json::from_value(json!({ "authorizer": authorizer, "http": { "method": "GET" } })).unwrap();
        Request::default().with_request_context(RequestContext::ApiGatewayV2(context))
    }

    /// As API Gateway hands a list over.
    fn flattened(claims: &Value) -> Value {
        let text = |value: &Value| match value {
            Value::Array(list) => {
                let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
                Value::from(format!("[{}]", texts.join(" ")))
            }
            Value::String(text) => Value::from(text.as_str()),
            other => Value::from(other.to_string()),
        };
        claims.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn with_token(claims: &Value, authorization: &[String]) -> Request {
        let mut request = request(&json!({ "jwt": { "claims": flattened(claims), "scopes": null } }));
        for value in authorization {
            request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
        }
        request
    }

    fn bearer_of(claim: &str, claims: &Value, role: Role) -> Result<String, Denied> {
        let access = Access::Token { roles: claim.to_owned() };
        access.caller(&with_token(claims, &[format!("Bearer {}", token(claims))]), role)
    }

    fn bearer(claims: &Value, role: Role) -> Result<String, Denied> {
        bearer_of("groups", claims, role)
    }

    #[test]
    fn a_token_allows_what_its_roles_say() {
        for (groups, reads, acts) in [
            (json!(["bitpowr:read"]), true, false),
            (json!(["staff", "bitpowr:read"]), true, false),
            (json!(["bitpowr:act", "staff"]), true, true),
            (json!("bitpowr:read"), true, false),
            (json!("bitpowr:act"), true, true),
            (json!(["bitpowr:reader"]), false, false),
            (json!([]), false, false),
            (json!(""), false, false),
            (json!(7), false, false),
            (json!({ "bitpowr:act": true }), false, false),
        ] {
            let claims = json!({ "sub": "s", "groups": groups });
            assert_eq!(bearer(&claims, Role::Read).is_ok(), reads, "{groups}");
            assert_eq!(bearer(&claims, Role::Act).is_ok(), acts, "{groups}");
        }
        // Endpoints carry customers' data away: whoever may act may not add one.
        let act = json!({ "sub": "s", "groups": "bitpowr:act" });
        assert_eq!(bearer(&act, Role::Configure), Err(Denied::Role(Role::Configure)));
        let configure = json!({ "sub": "s", "groups": ["bitpowr:configure"] });
        let allowed = [Role::Read, Role::Act, Role::Configure].map(|role| bearer(&configure, role).is_ok());
        assert_eq!(allowed, [true, false, true]);
        let other = json!({ "sub": "s", "scope": "bitpowr:act" });
        assert_eq!(bearer(&other, Role::Act), Err(Denied::Role(Role::Act)));
    }

    #[test]
    fn a_group_whose_name_contains_a_role_is_not_the_role() {
        for name in ["x,bitpowr:act", "x bitpowr:act", "[bitpowr:act", "bitpowr:act]", "bitpowr:act "] {
            for groups in [json!([name]), json!(name), json!(["staff", name])] {
                let claims = json!({ "sub": "s", "groups": groups });
                assert_eq!(bearer(&claims, Role::Act), Err(Denied::Role(Role::Act)), "{groups}");
            }
        }
    }

    #[test]
    fn a_scope_is_a_list_of_words() {
        for claim in ["scope", "scp"] {
            let claims = json!({ "sub": "s", claim: "openid bitpowr:act" });
            assert!(bearer_of(claim, &claims, Role::Act).is_ok(), "{claim}");
            let claims = json!({ "sub": "s", claim: "openid,bitpowr:act" });
            assert!(bearer_of(claim, &claims, Role::Act).is_err(), "{claim}");
        }
    }

    #[test]
    fn roles_are_read_from_the_one_token_that_was_verified() {
        let verified = json!({ "sub": "s", "groups": ["staff"] });
        let wanted = json!({ "sub": "s", "groups": ["bitpowr:act"] });
        let of_another = json!({ "sub": "another", "groups": ["bitpowr:act"] });
        let access = Access::Token { roles: "groups".to_owned() };
        let bearer = |claims| format!("Bearer {}", token(claims));
        for authorization in [
            vec![],
            vec![bearer(&verified)],
            vec![bearer(&of_another)],
            // API Gateway joins repeated headers.
            vec![format!("{},{}", bearer(&verified), bearer(&wanted))],
            vec![bearer(&verified), bearer(&wanted)],
            vec!["Bearer nonsense".to_owned()],
            vec!["Bearer a.b.c".to_owned()],
        ] {
            let request = with_token(&verified, &authorization);
            assert_eq!(access.caller(&request, Role::Act), Err(Denied::Role(Role::Act)), "{authorization:?}");
        }
        for authorization in [bearer(&wanted), token(&wanted), format!("bearer {}", token(&wanted))] {
            assert!(access.caller(&with_token(&wanted, &[authorization]), Role::Act).is_ok());
        }
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
