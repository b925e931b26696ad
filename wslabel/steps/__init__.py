"""What happens to one shard or group: the joint between tables and the arrays that stages see."""
