"""Our EC2 client against moto, which answers as AWS does: what we ask for is what boto3 then sees."""

import base64
import json
import logging
import os
import subprocess
import sys
import tempfile

AMIS = [{"ami_id": f"ami-{day:08x}", "name": f"Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 202610{day:02d}",
         "description": "", "owner_id": "898082745236", "public": True, "virtualization_type": "hvm", "architecture": "x86_64",
         "state": "available", "platform": None, "image_type": "machine", "hypervisor": "xen", "root_device_name": "/dev/sda1",
         "root_device_type": "ebs", "sriov": "simple", "creation_date": f"2026-10-{day:02d}T00:00:00.000Z"} for day in (1, 9, 5)]
with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as amis:
    json.dump(AMIS, amis)
os.environ.update(MOTO_AMIS_PATH=amis.name, MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true",
                  MOTO_ENABLE_AMI_VALIDATION="true", MOTO_ENABLE_KEYPAIR_VALIDATION="true")

try:
    import boto3
    from moto.server import ThreadedMotoServer
except ImportError as missing:
    print(f"skipped: {missing}; ./dev setup makes the environment oracle-aws")
    sys.exit(77)


def probe(endpoint, *words, code=0):
    done = subprocess.run([os.path.join(os.environ["MAYFLY_BIN"], "ec2_probe"), endpoint, *words],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://%s:%s" % server.get_host_and_port()
    ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")

    for market in ("on-demand", "spot"):
        run = "0123456789a" + ("b" if market == "spot" else "c")
        machine, of_run, price = probe(endpoint, "rent", run, market).split()
        assert (of_run, price) == (run, "1.01"), (of_run, price)
        seen = ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
        assert seen["ImageId"] == "ami-00000009", "the newest image"
        assert seen["InstanceType"] == "g5.xlarge"
        assert seen.get("InstanceLifecycle", "on-demand") == market, seen.get("InstanceLifecycle")
        assert seen["KeyName"].startswith("mayfly-")
        assert seen["MetadataOptions"]["HttpTokens"] == "required", seen["MetadataOptions"]
        tags = {tag["Key"]: tag["Value"] for tag in seen["Tags"]}
        assert tags["mayfly-run"] == run and tags["Name"] == f"mf-{run}-1", tags
        if market == "spot":
            assert seen["Placement"]["AvailabilityZone"] == "us-east-1b"

        def attribute(name):
            return ec2.describe_instance_attribute(InstanceId=machine, Attribute=name)

        assert attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
        assert base64.b64decode(attribute("userData")["UserData"]["Value"]) == b"#cloud-config\n# of the probe\n"
        volume = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [machine]}])["Volumes"][0]
        assert volume["Size"] == 200 and seen["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"], volume

        assert probe(endpoint, "list").split() == [machine]
        assert probe(endpoint, "list", run).split() == [machine]
        assert probe(endpoint, "list", "ffffffffffff").split() == []
        probe(endpoint, "end", machine)
        state = ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]["State"]["Name"]
        assert state == "terminated", state
        assert probe(endpoint, "list").split() == []
        probe(endpoint, "end", machine)
        print(market, "made, found and ended")

    # Somebody else's machine is not ours.
    ec2.run_instances(ImageId="ami-00000001", InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1)
    assert probe(endpoint, "list").split() == []

    offers = [line.split(" ") for line in probe(endpoint, "offers").splitlines()]
    cards = {offer[0]: offer[2] for offer in offers}
    assert cards["g5.xlarge"] == "1xA10G" and cards["p5.48xlarge"] == "8xH100", cards
    assert not any(name.startswith(("m", "c", "t")) for name in cards), "machines without a GPU"
    print(len(offers), "offers of", len(cards), "types")
    server.stop()


try:
    main()
finally:
    os.unlink(amis.name)
