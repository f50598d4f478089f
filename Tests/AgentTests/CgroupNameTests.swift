import Testing

@testable import Agent

struct CgroupNameTests {
  private func uid(_ path: String) -> String? {
    let parts = ["", ""] + path.split(separator: "/").map(String.init)
    return CgroupName.podUID(parts[parts.count - 1], in: parts[parts.count - 2], parts[parts.count - 3])
  }

  @Test(arguments: [
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6f1c2e1a_0000_4000_8000_000000000001.slice",
    "kubepods.slice/kubepods-pod6f1c2e1a_0000_4000_8000_000000000001.slice",
    "kubepods-besteffort-pod6f1c2e1a_0000_4000_8000_000000000001.slice",
    "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable-pod6f1c2e1a_0000_4000_8000_000000000001.slice",
    "kubepods/burstable/pod6f1c2e1a-0000-4000-8000-000000000001",
    "kubepods/pod6f1c2e1a-0000-4000-8000-000000000001",
    "docker/0123/kubelet/kubepods/besteffort/pod6f1c2e1a-0000-4000-8000-000000000001",
  ])
  func `a pod's directory says its uid, under both drivers and wherever it is`(path: String) {
    #expect(uid(path) == "6f1c2e1a-0000-4000-8000-000000000001")
  }

  @Test func `a static pod's directory says the hash of its file`() {
    #expect(uid("kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice") == "0123456789abcdef0123456789abcdef")
  }

  @Test(arguments: [
    "kubepods.slice", "kubepods-burstable.slice", "kubepods-burstable-pod.slice", "my-pod1234.slice",
    "kubepods-pod1.scope", "kubepods-pod1.slice/cri-containerd-0123.scope", "shop/pod1234", "burstable/pod1234",
    "shop/burstable/pod1234", "kubepods/burstable/pod", "kubepods/burstable/pod1.2", "kubepods/burstable",
    "podman.slice",
  ])
  func `what only looks like a pod is none`(path: String) { #expect(uid(path) == nil) }

  @Test(arguments: [
    ("nginx.service", "nginx.service"), ("web@1.service", "web@1.service"), ("app.slice", "app.slice"),
    ("_cpu.service", "cpu.service"), (#"a\x2db.scope"#, #"a\x2db.scope"#), ("kubepods", nil), ("x.timer", nil),
  ] as [(String, String?)])
  func `a unit's directory has its name`(directory: String, unit: String?) {
    #expect(CgroupName.unit(directory) == unit)
  }
}
