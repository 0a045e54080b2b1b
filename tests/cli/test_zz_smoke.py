import time
def test_smoke(project, run, sandbox):
    f=open("/tmp/smoke.out","w")
    for args in (["plan","promo.yml"],["apply","--auto-approve"],["apply"],["status"],["explain","+6281230000000"],["apply","--json","--auto-approve"],["plan","promo.yml","--markdown"],["plan","promo.yml","--json"],["apply","nope.plan"],["resolve","promo"],["show","nope"]):
        t=time.time()
        r = run(*args)
        print(args, r.code, time.time()-t,file=f); print(r.out,file=f); print("ERR", r.err,file=f)
