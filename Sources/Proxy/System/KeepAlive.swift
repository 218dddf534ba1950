internal import Glibc
internal import NIOCore

/// How TCP finds out that a silent peer is gone (A9): first asked after a minute, which also keeps what stands between (a load balancer's 350 s,
/// a NAT gateway's) from forgetting the connection, and given up two minutes later.
enum KeepAlive {
    static let idleSeconds: SocketOptionValue = 60
    static let intervalSeconds: SocketOptionValue = 15
    static let probesMax: SocketOptionValue = 4
}

extension NIOBSDSocket.Option {
    static let keepIdle = NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)
    static let keepInterval = NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL)
    static let keepCount = NIOBSDSocket.Option(rawValue: TCP_KEEPCNT)
}
