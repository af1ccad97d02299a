-- SPDX-License-Identifier: Apache-2.0
--
-- Tries everything that the test build's `escape` can do, and logs what came of it, one line each: "name=answer".
-- The test reads the lines. PLACE is a folder that anybody may write, OTHER_PORT a server that no configuration names.

function execute(ctx, client)
    local log = function(name, answer) ctx.log("info", "escape " .. name .. "=" .. answer) end
    local place, port = ctx.env.PLACE, ctx.env:number("OTHER_PORT")
    log("read /etc/passwd", escape.read("/etc/passwd"))
    log("read secret", escape.read(place .. "/secret"))
    log("create", escape.create(place .. "/made"))
    log("append", escape.append(place .. "/open"))
    log("mkdir", escape.mkdir(place .. "/folder"))
    log("rename", escape.rename(place .. "/rename", place .. "/renamed"))
    log("unlink", escape.unlink(place .. "/unlink"))
    log("symlink", escape.symlink("/etc/passwd", place .. "/symlink"))
    log("link", escape.link(place .. "/open", place .. "/link"))
    log("chmod", escape.chmod(place .. "/mine"))
    log("bind", escape.bind(0))
    log("connect elsewhere", escape.connect(port))
    log("connect elsewhere by fast open", escape.fast_open(port))
    log("udp socket", escape.udp())
    log("raw socket", escape.raw())
    log("packet socket", escape.packet())
    log("unix socket", escape.unix())
    log("netlink socket", escape.netlink())
    log("fork", escape.fork())
    log("exec", escape.exec("/bin/true"))
    log("ptrace the parent", escape.ptrace())
    log("read the parent's memory", escape.read_parent())
    log("signal the parent", escape.kill_parent())
    log("become root", escape.setuid())
    log("new ring", escape.ring())
    log("bpf", escape.bpf())
    log("perf event", escape.perf())
    log("namespace", escape.namespace())
    log("mount", escape.mount())
    log("chroot", escape.chroot())
    -- And it is still a program like another.
    local answer = client:get { url = ctx.env.URL }
    log("own server", "status " .. answer.status)
end
