package import GatewayTerms
internal import Glibc

extension WallTime {
    /// Now, by the system's clock.
    package static var current: WallTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
