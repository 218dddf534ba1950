package import GatewayTerms

extension Configuration {
    /// Host (the stage's), path and methods, and what happens to a request that has them.
    package struct Route: Sendable, Equatable {
        package enum Action: Sendable, Equatable {
            /// The named upstream of the same stage.
            case upstream(Located<String>)
            case service(Service)
            /// Answered here with this status, 200…599, and no body of an upstream.
            case respond(Int)
            case redirect(Redirect)
        }
        package enum Service: String, Sendable, Equatable, CaseIterable {
            /// The built-in command-line API; it asks for credentials itself where it needs them.
            case commandLineAPI = "command-line-api"
        }
        package struct Redirect: Sendable, Equatable {
            /// 301, 302, 303, 307 or 308.
            package var status: Int
            /// A canonical path of this host, or an absolute https address.
            package var location: Located<String>
        }
        package enum Credential: String, Sendable, Hashable, CaseIterable {
            /// A JWT in `Authorization: Bearer`.
            case bearer
            /// The cookie of the browser's login.
            case loginSession = "login_session"
            /// A JWT in `x-api-key`, which METAFLOW_SERVICE_AUTH_KEY sends (C2).
            case apiKey = "api_key"
        }

        /// Where the route stands in the file, from 0: its name in logs is `routes[index]`.
        package var index: Int
        /// Matches itself and everything below it, by whole segments; no trailing slash but in `/`.
        package var path: Located<CanonicalPath>
        /// `nil`: every method that no other route of the same path names.
        package var methods: Set<Method>?
        package var action: Action
        /// Any one of these opens the route. Empty for `respond`, `redirect`, `service` and public routes.
        package var credentials: Set<Credential>
        /// Why nobody has to say who they are; `nil` for every other route (F7).
        package var publicReason: String?
        /// The demand that holds here: the route's own, completed from the stage's.
        package var policy: Policy
        /// The place of the route's own `policy`; `nil`: the stage's holds.
        @Incidental package var policyLocation: SourceLocation?
        /// Why this route demands less than its stage; `nil` where it does not.
        package var widensReason: String?
        /// Remove the route's path from what is forwarded: `/api/metadata/flows` becomes `/flows`.
        package var stripPrefix: Bool
        /// `nil`: the upstream's.
        package var failures: FailureProfile?
        /// `nil`: `limits.body_bytes`.
        package var bodyBytesMax: ByteCount?
        /// Until the head of the response has arrived; `nil`: the upstream's `response_timeout`.
        package var timeout: Duration?
        /// Pass the caller's token to the upstream (C9).
        package var forwardAuthorization: Bool
        /// Let `;` through (B1).
        package var allowPathParameters: Bool
        /// Trailer fields that pass in both directions (B15), in lower case.
        package var allowTrailers: [String]
        /// Compress text that the upstream sends uncompressed, where `compression` is enabled.
        package var compress: Bool
        @Incidental package var location: SourceLocation
    }
}
