-- wrk sends HEAD, and waits for no body.
wrk.method = "HEAD"
