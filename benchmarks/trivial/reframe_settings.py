"""ReFrame on this machine alone, without a scheduler and without modules."""

site_configuration = {
    "systems": [
        {
            "name": "here",
            "hostnames": [".*"],
            "partitions": [
                {
                    "name": "local",
                    "scheduler": "local",
                    "launcher": "local",
                    "environs": ["builtin"],
                    "max_jobs": 2,
                }
            ],
        }
    ],
    "environments": [{"name": "builtin"}],
}
