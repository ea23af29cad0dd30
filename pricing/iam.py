"""The least-privilege IAM policy of a refresh: what it calls and nothing else."""

from __future__ import annotations

from typing import Any

# Each call of `pricing.refresh`, and the action it needs. None of them takes a resource: they read public prices.
ACTIONS = {
    "get_products": "pricing:GetProducts",
    "list_price_lists": "pricing:ListPriceLists",
    "get_price_list_file_url": "pricing:GetPriceListFileUrl",
    "describe_spot_price_history": "ec2:DescribeSpotPriceHistory",
    "describe_instance_types": "ec2:DescribeInstanceTypes",
    "describe_savings_plans_offering_rates": "savingsplans:DescribeSavingsPlansOfferingRates",
}


def policy() -> dict[str, Any]:
    """The policy document."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "FloodmarkPrices", "Effect": "Allow", "Action": sorted(ACTIONS.values()), "Resource": "*"}
        ],
    }
