"""The worker of the fuzzed service: it takes the jobs of the contract's examples, and one of them always fails."""

from bullflow import Job, Worker

worker = Worker("flowQueue", concurrency=4)


@worker.task("watermark-video")
async def watermark(job: Job) -> int:
    return len(list(job.children.all("download-video")))


@worker.task("download-video")
async def download(job: Job) -> str:
    raise RuntimeError(f"{job.data} is not to be had")
