import CDatapath
import Glibc
import Testing

@testable import Datapath

@Suite struct Reading {
  @Test(
    arguments: [("getsockopt_p3", "getsockopt", 3), ("bind4_p12", "bind4", 12)] as [(String, String, UInt32)])
  func `a proxy's pin has its number at the end`(pin: String, name: String, number: UInt32) {
    #expect(Pins.parse(pin) == (name, number))
    #expect(Pins("/d").link(name, proxy: number) == "/d/v\(WEIR_LAYOUT)/links/\(pin)")
  }

  @Test(arguments: ["tcp_destroy_sock", "sock_ops", "egress", "enrol_pages", "x_p", "x_p1b", "bind4_p3_new"])
  func `other pins have none`(pin: String) {
    #expect(Pins.parse(pin) == (pin, nil))
  }

  @Test func `an error is one line that names the step, the object and the errno`() {
    let error = DatapathError(
      step: "attach ingress to", subject: "/a", code: EPERM, advice: "needs CAP_NET_ADMIN")
    #expect(error.description == "attach ingress to /a: EPERM (needs CAP_NET_ADMIN)")
    #expect(
      DatapathError(step: "open", subject: "/b", code: ENOENT, log: "more\nlines").description
        == "open /b: ENOENT (No such file or directory)")
  }

  @Test func `only directories of the cgroup2 hierarchy have a cgroup id`() throws {
    let mount = try Cgroup.mount()
    #expect(Cgroup.id(mount) == 1 || Cgroup.id(mount) != nil)
    #expect(Cgroup.id("\(mount)/cgroup.procs") == nil)
    #expect(Cgroup.id("/tmp") == nil)
    #expect(Cgroup.id("\(mount)/absent") == nil)
  }
}
